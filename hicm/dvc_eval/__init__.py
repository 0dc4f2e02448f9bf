"""Dense video captioning evaluation: one evaluator, named protocols, the toolkits' numbers.

>>> from hicm.dvc_eval import evaluate
>>> said = [{"sentence": "add salt to it", "timestamp": [0, 9]}, {"sentence": "stir the hot pot", "timestamp": [9, 20]}]
>>> written = {"duration": 20, "timestamps": [[0, 10], [10, 20]], "sentences": ["add salt to it", "stir the hot pot"]}
>>> evaluate({"video": said}, {"video": written}, metrics=["CIDEr", "F1@0.7"]).scores
{'CIDEr': 8.75, 'F1@0.7': 1.0}
"""

from hicm.dvc_eval.evaluate import available_metrics, evaluate
from hicm.dvc_eval.inputs.protocols import PROTOCOLS, Protocol
from hicm.dvc_eval.results.score import Result

__all__ = ["PROTOCOLS", "Protocol", "Result", "available_metrics", "evaluate"]
