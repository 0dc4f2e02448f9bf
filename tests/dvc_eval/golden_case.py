"""Records of the evaluator's golden tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hicm.dvc_eval import evaluate


@dataclass(frozen=True)
class GoldenCase:
    """Predictions, reference files and the reference toolkits' numbers."""

    predictions: Path
    references: list[Path]
    scores: dict[str, Any]


class MapTokeniser:
    """The reference tokeniser's results from a golden file: stands in for Java."""

    name = "golden"
    unproven = ()

    def __init__(self, tokens: dict[str, str]) -> None:
        # Captions reach a tokeniser in ASCII and on one line.
        self.tokens = {caption.replace("\n", " "): result for caption, result in tokens.items() if caption.isascii()}

    def tokenise(self, captions: list[str]) -> list[str]:
        return [self.tokens[caption] for caption in captions]


def files(golden: Path, annotators: int = 1) -> list[str]:
    """Paths of the made-up predictions and reference files."""
    return [str(golden / "dvc_eval" / f"{name}.json")
            for name in ("predictions", "references_1", "references_2")[:annotators + 1]]


def score(golden: Path, protocol: Any = "vidchapters", annotators: int = 1, **options: Any) -> Any:
    """`evaluate` on the made-up files."""
    predictions, *references = files(golden, annotators)
    return evaluate(predictions, references, protocol, **options)
