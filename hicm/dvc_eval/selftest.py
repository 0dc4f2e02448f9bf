"""Checks that the evaluator of this installation gives the same numbers as the reference scorers.

``selftest.json`` holds ten made-up videos, two annotators, and the numbers of pycocoevalcap's Java scorers with plain
loops around them (tests/golden/make_selftest.py).
"""

import json
from pathlib import Path
from typing import Any

from hicm.dvc_eval.evaluate import evaluate
from hicm.dvc_eval.words.java import Unavailable
from hicm.dvc_eval.words.meteor15 import NativeMeteor
from hicm.evaluation.selftest import Check, SelfTest, check

CASES = Path(__file__).with_suffix(".json")


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
    result = evaluate(predictions, references[:case["annotators"]], case["protocol"], metrics=list(case["scores"]),
                      rules=case["rules"], jobs=1, meteor=meteor)
    rules = ", ".join(f"{name}={value}" for name, value in case["rules"].items())
    name = f"{case['protocol']}, {case['annotators']} reference file{'s' * (case['annotators'] > 1)}"
    return check(f"{name}, {rules}" if rules else name, case["scores"], result)
