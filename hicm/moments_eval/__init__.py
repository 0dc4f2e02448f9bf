"""Evaluation of video moment retrieval and highlight detection: named protocols, the official scripts' numbers.

>>> from hicm.moments_eval import evaluate
>>> predictions = {"1": [[0, 7, 0.9], [20, 30, 0.4]], "2": [[5, 9, 0.8]]}
>>> annotations = [{"qid": 1, "query": "a dog runs", "vid": "a", "duration": 60, "relevant_windows": [[0, 10]]},
...                {"qid": 2, "query": "a cat sleeps", "vid": "b", "duration": 60, "relevant_windows": [[5, 13]]}]
>>> evaluate(predictions, annotations, "hicm", metrics=["R1@0.5", "mIoU", "mAP"]).scores
{'R1@0.5': 1.0, 'mIoU': 0.6, 'mAP': 0.3}
"""

from hicm.moments_eval.evaluate import available_metrics, evaluate
from hicm.moments_eval.inputs.protocols import PROTOCOLS, Protocol
from hicm.moments_eval.results.score import Result

__all__ = ["PROTOCOLS", "Protocol", "Result", "available_metrics", "evaluate"]
