"""The evaluator gives the published scores of a system from its released predictions, to the digit."""


import pytest

from hicm.results.published import benchmarks
from tests.scripts import load_script


@pytest.fixture(scope="module")
def script():
    return load_script("record_bmt")


@pytest.mark.slow  # 10 s
def test_bmt_scores_as_published(script, shared):
    """BMT on ActivityNet Captions, given events, mean of val_1 and val_2; what each gives was noted with the files."""
    found = script.results(shared / "real" / "predictions" / "bmt_anet")
    seen = {metric: [round(100 * one.scores[metric], 2) for one in found] for metric in ("METEOR", "Bleu_3", "Bleu_4")}
    assert seen == {"METEOR": [10.74, 11.06], "Bleu_3": [4.68, 4.57], "Bleu_4": [2.07, 1.92]}
    published = next(row for row in benchmarks()[script.DATASET].published if row.method == "BMT").scores
    assert {metric: round(100 * score, 2) for metric, score in script.record(found).scores.items()} == published
