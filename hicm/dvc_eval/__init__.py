"""Dense video captioning evaluation: one evaluator, named protocols, the toolkits' numbers.

>>> from hicm.dvc_eval import evaluate
>>> events = [{"sentence": "add salt", "timestamp": [0, 10]}, {"sentence": "stir it", "timestamp": [10, 20]}]
>>> reference = {"video": {"duration": 20, "timestamps": [[0, 10], [10, 20]], "sentences": ["add salt", "stir it"]}}
>>> evaluate({"video": events}, reference, metrics=["CIDEr", "F1"]).scores
{'CIDEr': 10.0, 'F1': 1.0}
"""

from hicm.dvc_eval.evaluate import available_metrics, evaluate
from hicm.dvc_eval.protocols import PROTOCOLS, Protocol
from hicm.dvc_eval.score import Result

__all__ = ["PROTOCOLS", "Protocol", "Result", "available_metrics", "evaluate"]
