"""Evaluation of dense video captions: one evaluator, named protocols, the same numbers as the public toolkits.

>>> from hicm.dvc_eval import evaluate
>>> events = [{"sentence": "add salt to it", "timestamp": [0, 9]}, {"sentence": "stir it all up", "timestamp": [9, 20]}]
>>> reference = {"duration": 20, "timestamps": [[0, 10], [10, 20]], "sentences": ["add salt to it", "stir it all up"]}
>>> evaluate({"video": events}, {"video": reference}, metrics=["CIDEr", "F1@0.7"]).scores
{'CIDEr': 8.75, 'F1@0.7': 1.0}
"""

from hicm.dvc_eval.evaluate import available_metrics, evaluate
from hicm.dvc_eval.inputs.protocols import PROTOCOLS, Protocol
from hicm.dvc_eval.results.score import Result

__all__ = ["PROTOCOLS", "Protocol", "Result", "available_metrics", "evaluate"]
