"""A data set scored in parts, one after the other or in processes: the scores, warnings and errors of one part."""

import io
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.dvc_eval import Result, evaluate
from hicm.dvc_eval.inputs.case import build_case
from hicm.dvc_eval.inputs.protocols import PROTOCOLS
from hicm.dvc_eval.inputs.read import read_predictions, read_references
from hicm.dvc_eval.metrics import overlaps, scoring, soda
from hicm.dvc_eval.metrics import part as part_module
from hicm.dvc_eval.words import bleu, cider
from hicm.dvc_eval.words.meteor15 import NativeMeteor

OVERLAP = [name for name, rules in PROTOCOLS.items() if rules.pairing == "overlap"]
ORDER = [name for name in PROTOCOLS if name not in OVERLAP]
CIDER = {"CIDEr", "para_CIDEr"}  # sums over n-grams, whose order is that of the part's texts: equal but for rounding
ROUNDING = 1e-12
Content = dict[str, Any]


@pytest.fixture(scope="module")
def files(golden: Path) -> list[Path]:
    """Predictions and both annotators, ten videos."""
    return [golden / "dvc_eval" / f"{name}.json" for name in ("predictions", "references_1", "references_2")]


@pytest.fixture(scope="module")
def whole(files: list[Path]) -> dict[str, Result]:
    """By every protocol, in one part."""
    predictions, *references = files
    return dict(zip((*OVERLAP, *ORDER), (*evaluate(predictions, references, OVERLAP),
                                         *evaluate(predictions, references[0], ORDER)), strict=True))


def in_parts(monkeypatch: pytest.MonkeyPatch, events: int = 5) -> None:
    monkeypatch.setattr(scoring, "EVENTS", events)


def same(one: Result, two: Result) -> None:
    """All numbers to the bit but CIDEr's, and everything else equal."""
    for part in ("videos", "signature", "coverage", "left_out", "thresholds"):
        assert getattr(one, part) == getattr(two, part), part
    assert sorted(one.warnings) == sorted(two.warnings)
    assert one.counts.tolist() == two.counts.tolist()
    assert one.measures.keys() == two.measures.keys() and one.columns.keys() == two.columns.keys()
    for name, measure in one.measures.items():
        other = two.measures[name].statistics
        if name in CIDER:
            np.testing.assert_allclose(measure.statistics, other, rtol=0, atol=ROUNDING, err_msg=name)
        else:
            np.testing.assert_array_equal(measure.statistics, other, err_msg=name)
    assert one.scores == pytest.approx(two.scores, abs=ROUNDING)
    assert one.missing_as_zero == pytest.approx(two.missing_as_zero, abs=ROUNDING)
    for video in one.videos if one.pairs is not None else ():
        assert [vars(pair) for pair in one.event_pairs(video)] == [vars(pair) for pair in two.event_pairs(video)]


@pytest.mark.parametrize("events", [5, 17])
def test_parts_give_the_same(files: list[Path], whole: dict[str, Result], monkeypatch: pytest.MonkeyPatch,
                             events: int) -> None:
    """Every video is scored by itself, so only what sums over the n-grams of a part may round otherwise."""
    predictions, *references = files
    in_parts(monkeypatch, events)
    case = build_case(read_predictions(predictions, [])[0], read_references(references, []))
    ends = scoring.part_ends(case)
    assert len(ends) == {5: 9, 17: 4}[events] and ends[-1] == 10
    for name, joint in zip(OVERLAP, evaluate(predictions, references, OVERLAP), strict=True):
        same(joint, whole[name])
    for name, joint in zip(ORDER, evaluate(predictions, references[0], ORDER), strict=True):
        same(joint, whole[name])


def test_a_part_is_as_large_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of both sides, 2 a video; a video larger than a part stays whole."""
    in_parts(monkeypatch, 6)
    predictions = {f"{k}": [{"sentence": "x", "timestamp": [0, 1]}] for k in range(9)}
    references = {video: {"timestamps": [[0, 1]], "sentences": ["x"]} for video in predictions}

    def ends() -> list[int]:
        case = build_case(read_predictions(predictions, [])[0], read_references(references, []))
        found = scoring.part_ends(case)
        cases = [case.part(first, end) for first, end in zip([0, *found], found, strict=False)]
        assert sum((one.videos for one in cases), ()) == case.videos
        assert sum((one.predicted.captions for one in cases), ()) == case.predicted.captions
        return found
    sizes = np.diff([0, *ends()])
    assert sizes.sum() == 9 and sizes.max() <= 4 and len(sizes) <= 4
    predictions["4"] *= 50
    assert {4, 5} & set(ends()) and ends()[-1] == 9


# captions that warnings are due for

def odd(same_text: bool) -> tuple[Content, Content]:
    predictions, references = {}, {}
    for place, video in enumerate(("a", "b", "c", "d")):
        number = "" if same_text else f" {place}"
        wordless = "," if same_text else ",.?;"[place]
        texts = [f"caf\u00e9 pot{number}", f"stir\rit{number}", wordless] if video != "d" else ["stir"] * 3
        predictions[video] = [{"sentence": text, "timestamp": [at, at + 1]} for at, text in enumerate(texts)]
        references[video] = {"timestamps": [[0, 1], [2, 3]], "sentences": [f"na\u00efve{number}", f"add it {place}"]}
    return predictions, references


@pytest.mark.parametrize("same_text", [False, True], ids=["other captions", "the same captions"])
def test_warnings_count_over_all_parts(monkeypatch: pytest.MonkeyPatch, same_text: bool) -> None:
    predictions, references = odd(same_text)
    whole = evaluate(predictions, references, metrics=["CIDEr"])
    in_parts(monkeypatch, 4)
    divided = evaluate(predictions, references, metrics=["CIDEr"])
    if not same_text:
        assert "predictions: 3 captions contain a line break (CR, VT, FF, U+2028 or U+2029), read as a blank" in \
            whole.warnings
        assert ("references: 4 captions contain characters outside ASCII, read as blanks, as in the toolkits (see "
                "--rule tok=unicode)") in whole.warnings
    assert sorted(divided.warnings) == sorted(whole.warnings)


def test_captions_read_again_for_paragraphs_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, references = odd(False)
    in_parts(monkeypatch, 4)
    found = [evaluate(predictions, references, "activitynet-2018", metrics=metrics, rules={"tok": "unicode"}).warnings
             for metrics in (["CIDEr"], ["CIDEr", "para_Bleu_4"], ["para_Bleu_4"])]
    assert any("contain a line break" in warning for warning in found[0])
    assert set(found[0]) == set(found[1]) == set(found[2])


# processes: in a process of its own, as pytest may hold threads or torch

SCRIPT = """
import json, sys
from hicm.dvc_eval import evaluate
from hicm.dvc_eval.metrics import overlaps, scoring
from hicm.errors import UserError

calls, real = [], scoring._score_in_processes
scoring._score_in_processes = lambda *given: calls.append(given[-1]) or real(*given)
predictions, *references = sys.argv[1:3]
printed = {}
"""
FEW = "scoring.EVENTS, scoring.PAYS = 5, 0\n"
LAST = "\nprint(json.dumps(printed | {'calls': calls, 'torch': 'torch' in sys.modules}))"


def alone(code: str, *arguments: str) -> Content:
    """What a script tells that runs as a program of its own."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_processes_give_the_same(files: list[Path]) -> None:
    code = SCRIPT.replace("[1:3]", "[1:]") + FEW + f"""
for jobs in (1, 2):
    printed[jobs] = [[{{name: measure.statistics.tolist() for name, measure in result.measures.items()}},
                  result.signature, result.warnings, result.left_out]
                  for result in evaluate(predictions, references, {OVERLAP}, jobs=jobs)]
""" + LAST
    printed = alone(code, *map(str, files))
    assert printed["calls"] == [2] and not printed["torch"]
    assert printed["2"] == printed["1"]  # the same parts, wherever they are scored: to the bit
    statistics, _, _, left_out = printed["2"][0]
    assert {"METEOR", "para_CIDEr", "soda_c"} < statistics.keys() and not left_out


def test_processes_are_for_much_work_only(files: list[Path]) -> None:
    """Not below PAYS events, not for one job, one part or a METEOR of the caller's; clips are one part."""
    code = SCRIPT + f"""
import numpy as np
class Meteor:
    name = "made-up"
    statistics = staticmethod(lambda pairs: np.zeros((len(pairs), 23)))
    score = staticmethod(lambda statistics: statistics[..., 0])
metrics = ["CIDEr", "Recall"]
scoring.EVENTS = 5
evaluate(predictions, references, metrics=metrics, jobs=2)
{FEW}
evaluate(predictions, references, metrics=metrics, jobs=1)
evaluate(predictions, references, "vidchapters-vc", metrics=["CIDEr"], jobs=2)
evaluate(predictions, references, metrics=["METEOR"], jobs=2, meteor=Meteor())
scoring.EVENTS = 1000
evaluate(predictions, references, metrics=metrics, jobs=2)
assert not calls
scoring.EVENTS = 20
evaluate(predictions, references, metrics=metrics, jobs=64)
""" + LAST
    assert alone(code, *map(str, files))["calls"] == [3]  # never more processes than parts


def test_every_evaluation_may_use_processes(files: list[Path]) -> None:
    """A bar of an earlier evaluation leaves no thread behind that forbids them: compare scores one after another."""
    code = SCRIPT + FEW + """
for _ in range(3):
    evaluate(predictions, references, metrics=["CIDEr", "Recall"], jobs=2, progress=True)
""" + LAST
    assert alone(code, *map(str, files))["calls"] == [2, 2, 2]


def test_what_goes_wrong_in_a_process(files: list[Path]) -> None:
    """A UserError arrives as one; a METEOR that cannot work is left out with its reason."""
    code = SCRIPT + FEW + """
overlaps.MOST = 3
try:
    evaluate(predictions, references, metrics=["Recall"], jobs=2)
except UserError as error:
    printed["error"] = str(error)
overlaps.MOST = 1000
sys.modules["llvmlite"] = None
result = evaluate(predictions, references, metrics=["METEOR", "Recall"], jobs=2)
printed["scores"], printed["left_out"] = result.scores, result.left_out
""" + LAST
    printed = alone(code, *map(str, files))
    assert printed["calls"] == [2, 2]
    assert printed["error"].startswith("video bike_03: 3 predictions and 3 events overlap in 4 pairs, more than 3; ")
    assert list(printed["scores"]) == ["Recall"] and "pip install numba" in printed["left_out"]["METEOR"]


# memory

MEMORY = """
import json, re, sys
from hicm.dvc_eval import evaluate
from hicm.dvc_eval.metrics import part as part_module
from hicm.dvc_eval.metrics import scoring, soda
from hicm.dvc_eval.words import bleu, cider

scoring.EVENTS, few, metrics = int(sys.argv[3]), int(sys.argv[4]), sys.argv[5:]
predictions, references = (json.load(open(name)) for name in sys.argv[1:3])
printed = {}

def copies(count):
    return ({f"{video}_{k}": [event | {"sentence": f"{event['sentence']} {k}"} for event in events]
             for k in range(count) for video, events in predictions["results"].items()},
            {f"{video}_{k}": entry | {"sentences": [f"{text} {k}" for text in entry["sentences"]]}
             for k in range(count) for video, entry in references.items()})

for times in (1, 8):
    evaluate(*copies(few * times), metrics=metrics, jobs=1)
    # not getrusage: its peak counts what the parent held when it started this process
    printed[times] = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) / 1024
print(json.dumps(printed))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak in /proc")
@pytest.mark.parametrize(("events", "few", "metrics"), [
    pytest.param(500, 10, ["CIDEr", "Rouge-L", "Bleu_4", "soda_d", "F1"], id="small parts"),
    pytest.param(scoring.EVENTS, 200, ["METEOR", "CIDEr", "Rouge-L", "Bleu_4", "soda_c", "F1"], id="as it is",
                 marks=pytest.mark.slow)])
def test_memory_grows_with_the_data_and_not_with_the_work(files: list[Path], events: int, few: int,
                                                          metrics: list[str]) -> None:
    """From one part to eight the peak grows by data and results; in one part by all that is worked out, too."""
    grown = {}
    for size in (events, 10**9):
        peak = alone(MEMORY, *map(str, files[:2]), str(size), str(few), *metrics)
        grown[size] = peak["8"] - peak["1"]
    assert grown[events] < 0.5 * grown[10**9], grown


# within a part, pairs of captions are compared in blocks

@pytest.mark.parametrize("size", [1, 50])
def test_blocks_of_pairs_change_no_bit(monkeypatch: pytest.MonkeyPatch, files: list[Path], whole: dict[str, Result],
                                       size: int) -> None:
    for module in (bleu, cider, soda):
        monkeypatch.setattr(module, "ENTRIES", size)
    monkeypatch.setattr(part_module, "PAIRS", size)
    predictions, *references = files
    for result in (*evaluate(predictions, references, OVERLAP), *evaluate(predictions, references[0], ORDER)):
        expected = whole[result.protocol]
        for name in ("scores", "per_video", "per_threshold", "video_table", "warnings", "signature"):
            assert getattr(result, name) == getattr(expected, name), (result.protocol, name)


@pytest.fixture(scope="module")
def meteor() -> NativeMeteor:
    return NativeMeteor()


@st.composite
def dense(draw: st.DrawFn) -> tuple[Content, Content]:
    """One or two videos whose events overlap often; captions of few words, some repeated and some empty."""
    def side() -> tuple[list, list]:
        starts = draw(st.lists(st.integers(0, 8), min_size=1, max_size=7))
        return ([[float(start), start + float(draw(st.integers(0, 9)))] for start in starts],
                [" ".join(draw(st.lists(st.sampled_from(["stir", "stirring", "the", "pot"]), max_size=4)))
                 for _ in starts])

    videos = [(side(), side()) for _ in range(draw(st.integers(1, 2)))]
    return ({f"v{k}": [{"timestamp": span, "sentence": text} for span, text in zip(*predicted, strict=True)]
             for k, (predicted, _) in enumerate(videos)},
            {f"v{k}": {"duration": 20.0, "timestamps": spans, "sentences": texts}
             for k, (_, (spans, texts)) in enumerate(videos)})


def in_blocks(patch: pytest.MonkeyPatch, size: int) -> None:
    """Everything that depends on pairs, so many at a time."""
    for module in (bleu, cider, soda):
        patch.setattr(module, "ENTRIES", size)
    for module, name in ((part_module, "PAIRS"), (overlaps, "BLOCK")):
        patch.setattr(module, name, size)
    patch.setattr(part_module, "CALLS", 1)


@settings(max_examples=4, deadline=None)
@given(dense(), dense())
def test_blocks_of_any_size_change_no_bit(meteor: NativeMeteor, one: tuple[Content, Content],
                                          two: tuple[Content, Content]) -> None:
    """Two annotators of the same videos; every metric that compares captions of events, SODA of all types."""
    protocols = ["activitynet-2018", "soda", "soda-multi"]
    predictions, *references = one[0], one[1], {video: two[1].get(video, one[1][video]) for video in one[1]}
    expected = evaluate(predictions, references, protocols, meteor=meteor)
    for size in (1, 2, 7):
        with pytest.MonkeyPatch.context() as patch:
            in_blocks(patch, size)
            found = evaluate(predictions, references, protocols, meteor=meteor)
        for result, other in zip(found, expected, strict=True):
            for name, measure in result.measures.items():
                assert measure.statistics.tobytes() == other.measures[name].statistics.tobytes(), (size, name)
            assert result.warnings == other.warnings
            for name, values in result.pairs.scores.items() if result.pairs is not None else ():
                assert values.tobytes() == other.pairs.scores[name].tobytes(), (size, name)


def test_what_is_kept_of_a_pair_is_small(meteor: NativeMeteor) -> None:
    """What is worked out for a pair is not kept, only its scores: in one block it takes four kilobytes per pair."""
    random, events = np.random.default_rng(5), 70

    def side() -> tuple[list, list]:
        spans = np.stack([random.random(events) * 99, 900 + random.random(events) * 99], axis=1).tolist()
        return spans, [" ".join(f"w{word}" for word in random.integers(0, 99, 6)) for _ in spans]

    (spans, texts), (other_spans, other_texts) = side(), side()
    predictions = {"a": [{"timestamp": span, "sentence": text} for span, text in zip(spans, texts, strict=True)]}
    references = {"a": {"duration": 1000.0, "timestamps": other_spans, "sentences": other_texts}}
    with pytest.MonkeyPatch.context() as patch:
        in_blocks(patch, 1000)
        tracemalloc.start()
        try:
            result = evaluate(predictions, references, meteor=meteor)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert len(result.pairs.video) >= events**2
    assert peak < 1600 * events**2


def test_a_bar_for_one_large_video(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs are counted on a terminal, where there are many; nowhere else."""
    shown = {}
    for terminal in (False, True):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        for pairs, progress in ((scoring.MANY, True), (scoring.MANY, False), (scoring.MANY - 1, True)):
            with scoring.pair_bar(pairs, progress) as bar:
                shown[terminal, pairs, progress] = not bar.disable
    assert [key for key, value in shown.items() if value] == [(True, scoring.MANY, True)]


@pytest.mark.slow
def test_a_dense_video_needs_bounded_memory(tmp_path: Path) -> None:
    """Seven hundred predictions that each overlap seven hundred events: half a million pairs took 1.9 GB at once."""
    random = np.random.default_rng(5)

    def texts() -> list[str]:
        # Words of letters: in paragraphs, digits are dropped, and all would be the same word.
        return [" ".join(f"{chr(97 + word % 20)}{chr(97 + word // 20)}" for word in random.integers(0, 300, size))
                for size in random.integers(3, 18, 700)]

    spans = [[float(start), float(end)] for start, end in zip(random.random(700) * 99, 900 + random.random(700) * 99,
                                                              strict=True)]
    (tmp_path / "p.json").write_text(json.dumps({"a": [{"sentence": text, "timestamp": span} for text, span in
                                                       zip(texts(), spans, strict=True)]}))
    (tmp_path / "r.json").write_text(json.dumps({"a": {"duration": 1000, "timestamps": spans, "sentences": texts()}}))
    done = subprocess.run([sys.executable, "-c", "import resource, sys; from hicm.dvc_eval import evaluate\n"
                           "result = evaluate(*sys.argv[1:], 'hicm')\n"
                           "print(len(result.scores), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)",
                           str(tmp_path / "p.json"), str(tmp_path / "r.json")], capture_output=True, text=True,
                          check=True)
    scores, kilobytes = map(int, done.stdout.split())
    assert scores > 25 and kilobytes < 600_000
