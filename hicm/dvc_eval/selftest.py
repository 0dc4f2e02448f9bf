"""Checks that the evaluator of this installation gives the same numbers as the reference scorers.

``selftest.json`` holds ten made-up videos, two annotators, and the numbers of pycocoevalcap's Java scorers with plain
loops around them (tests/golden/make_selftest.py).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hicm.dvc_eval.evaluate import evaluate
from hicm.dvc_eval.words.java import Unavailable
from hicm.dvc_eval.words.meteor15 import NativeMeteor

CASES = Path(__file__).with_suffix(".json")
TOLERANCE = 1e-9  # the reference scorers' own numbers differ by rounding only


@dataclass(frozen=True)
class Check:
    """One protocol: how many numbers were compared, the largest difference and its metric, what was left out."""

    name: str
    numbers: int
    difference: float
    worst: str
    left_out: dict[str, str]

    @property
    def ok(self) -> bool:
        """Whether every number was computed and agrees."""
        return not self.left_out and not self.wrong

    @property
    def wrong(self) -> bool:
        """Whether a computed number differs."""
        return not self.difference <= TOLERANCE

    def __str__(self) -> str:
        state = "ok" if self.ok else "WRONG" if self.wrong else "not checked"
        line = f"{state:11}  {self.name:52} {self.numbers:3}  {self.difference:.1e}"
        if self.wrong:
            line += f"  differs most: {self.worst}"
        if self.left_out:
            line += f"  not computed: {', '.join(self.left_out)} ({next(iter(self.left_out.values()))})"
        return line


@dataclass(frozen=True)
class SelfTest:
    """All cases; prints itself as a table."""

    cases: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether all cases are ok."""
        return all(case.ok for case in self.cases)

    def __str__(self) -> str:
        wrong, unchecked = sum(case.wrong for case in self.cases), sum(not case.ok for case in self.cases)
        verdict = "this installation gives the same numbers as the reference scorers"
        if wrong:
            verdict = f"{wrong} of {len(self.cases)} cases are wrong: do not publish scores of this installation"
        elif unchecked:
            verdict = f"everything computed agrees, but {unchecked} of {len(self.cases)} cases are not fully checked"
        head = f"{'':11}  {'protocol':52} {'#':>3}  largest difference"
        return "\n".join([head, *map(str, self.cases), verdict])


def selftest() -> SelfTest:
    """Score the made-up captions under every protocol that has reference numbers."""
    content = json.loads(CASES.read_text(encoding="utf-8"))
    try:
        meteor = NativeMeteor()  # loaded once for all cases
    except Unavailable:
        meteor = None  # each case reports why
    return SelfTest(tuple(_run(case, content["predictions"], content["references"], meteor)
                          for case in content["cases"]))


def _run(case: dict[str, Any], predictions: Any, references: list[Any], meteor: NativeMeteor | None) -> Check:
    expected = case["scores"]
    result = evaluate(predictions, references[:case["annotators"]], case["protocol"], metrics=list(expected),
                      rules=case["rules"], jobs=1, meteor=meteor)
    differences = {name: abs(result.scores[name] - value) for name, value in expected.items() if name in result.scores}
    worst = max(differences, key=lambda name: (differences[name] != differences[name], differences[name]), default="")
    rules = ", ".join(f"{name}={value}" for name, value in case["rules"].items())
    name = f"{case['protocol']}, {case['annotators']} reference file{'s' * (case['annotators'] > 1)}"
    return Check(f"{name}, {rules}" if rules else name, len(differences), differences.get(worst, 0.0), worst,
                {name: result.left_out.get(name, "no such score") for name in expected if name not in result.scores})
