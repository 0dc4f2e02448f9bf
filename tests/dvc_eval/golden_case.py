"""Records of the evaluator's golden tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
