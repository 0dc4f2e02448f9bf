"""Checks that the evaluator of this installation gives the same numbers as MESM's and Moment-DETR's own evaluation.

``selftest.json`` holds made-up queries and windows, and what these programs gave for them: their printed tables for one
set, the means of their numbers per query for the others (tests/golden/make_moments_selftest.py).
"""

import json
from pathlib import Path

from hicm.evaluation.selftest import SelfTest, check
from hicm.moments_eval.evaluate import evaluate

CASES = Path(__file__).with_suffix(".json")


def selftest() -> SelfTest:
    """Score the made-up moments under the protocols that have reference numbers."""
    cases = json.loads(CASES.read_text(encoding="utf-8"))["cases"]
    return SelfTest(tuple(
        check(case["name"], case["scores"],
              evaluate(case["predictions"], case["annotations"], case["protocol"], metrics=list(case["scores"]),
                       rules=case["rules"]), case["decimals"]) for case in cases))
