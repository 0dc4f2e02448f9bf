"""Equal to the reference toolkits: all numbers but METEOR's without Java, METEOR's too where Java is (marker java)."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from golden_case import GoldenCase, MapTokeniser

from hicm.dvc_eval import Result, evaluate
from hicm.dvc_eval.inputs.case import build_case
from hicm.dvc_eval.inputs.protocols import find_protocol
from hicm.dvc_eval.inputs.read import read_predictions, read_references
from hicm.dvc_eval.metrics.clips import google_rouge, pair_by_order
from hicm.dvc_eval.words.meteor import JarMeteor, total
from hicm.dvc_eval.words.tokenise import JarTokeniser, PtbTokeniser

EXACT = 1e-9  # the toolkits' own numbers differ by rounding only: 1e-15 was measured
OF_METEOR = {"METEOR", "soda_c", "para_METEOR"}
ACTIVITYNET = ("activitynet-2018", "activitynet-2021")


def without_meteor(protocol: str) -> list[str]:
    return [name for name in find_protocol(protocol).metrics if name not in OF_METEOR]


def check_scores(result: Result, expected: dict[str, float], but: set[str] = frozenset()) -> None:
    wanted = {name: value for name, value in expected.items() if name not in but}
    assert len(wanted) > 3
    assert {name: result.scores[name] for name in wanted} == pytest.approx(wanted, abs=EXACT)


def check_thresholds(result: Result, expected: dict[str, list[float]], but: set[str] = frozenset()) -> None:
    for name, values in expected.items():
        if name not in but:
            assert result.per_threshold[name] == pytest.approx(values, abs=EXACT), name


def check_videos(result: Result, expected: dict, but: set[str] = frozenset()) -> None:
    assert len(expected) > 8
    for video, table in expected.items():
        if table is None:
            assert video not in result.per_video
            continue
        for threshold, values in table.items():
            ours = result.per_video_thresholds[video][threshold]
            wanted = {name: value for name, value in values.items() if name not in but}
            assert {name: ours[name] for name in wanted} == pytest.approx(wanted, abs=EXACT), (video, threshold)


def check_all(golden: GoldenCase, protocol: str, result: Result, but: set[str] = frozenset()) -> None:
    expected = golden.scores[protocol]
    check_scores(result, expected.get("scores") or expected["mean"], but)
    check_thresholds(result, expected["per_threshold"], but)
    check_videos(result, expected["per_video"], but)


def score(golden: GoldenCase, java: bool, *arguments: str, **options: object) -> Result:
    """By the native tools, or by the Java ones."""
    if not java:
        return evaluate(golden.predictions, golden.references, *arguments, **options)
    with JarMeteor() as meteor:
        return evaluate(golden.predictions, golden.references, *arguments, tokeniser=JarTokeniser(), meteor=meteor,
                        **options)


TOOLS = pytest.mark.parametrize("java", [False, pytest.param(True, marks=pytest.mark.java)], ids=["native", "java"])


@TOOLS
def test_vidchapters(protocols_golden: GoldenCase, java: bool) -> None:
    result = score(protocols_golden, java, "vidchapters")
    assert not result.left_out
    check_all(protocols_golden, "vidchapters", result)


@TOOLS
@pytest.mark.parametrize("protocol", ACTIVITYNET)
def test_activitynet(any_golden: GoldenCase, protocol: str, java: bool) -> None:
    result = score(any_golden, java, protocol)
    assert not result.left_out
    check_all(any_golden, protocol, result)


@TOOLS
def test_cap(protocols_golden: GoldenCase, java: bool) -> None:
    result = score(protocols_golden, java, rules={"max_proposals": 3})
    check_thresholds(result, protocols_golden.scores["vidchapters"]["max_proposals_3"])
    assert "cap:3" in result.signature


def test_native_tokens(protocols_golden: GoldenCase) -> None:
    tokens = {caption: want for caption, want in protocols_golden.scores["tokenised"].items() if caption.isascii()}
    assert dict(zip(tokens, PtbTokeniser().tokenise(list(tokens)), strict=True)) == tokens


@TOOLS
def test_yc2(yc2_golden: GoldenCase, java: bool) -> None:
    result = score(yc2_golden, java)
    assert not result.left_out and not any("not verified on" in warning for warning in result.warnings)
    check_scores(result, yc2_golden.scores)


def test_activitynet_soda_without_empty(protocols_golden: GoldenCase) -> None:
    """The toolkits' SODA cannot read empty lists: the golden value was taken without them."""
    predictions = json.loads(protocols_golden.predictions.read_text())
    predictions["results"] = {video: events for video, events in predictions["results"].items() if events}
    result = evaluate(predictions, protocols_golden.references, "activitynet-2018", metrics=["soda_c"])
    assert result.scores["soda_c"] == pytest.approx(protocols_golden.scores["activitynet"]["soda_c_without_empty"],
                                                    abs=EXACT)


def soda_types(golden: GoldenCase) -> dict[tuple[str, str, str], list[str]]:
    """{(toolkit, roles, files): types} of all SODA entries of a golden file."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for toolkit, kind, roles, files in (key.split("/") for key in golden.scores["soda"]):
        found.setdefault((toolkit, roles, files), []).append(kind)
    return found


FILE_RULES = {"merged": "merged", "multi_reference": "multi"}  # else one file alone: file1, file2


@TOOLS
def test_soda_types(any_golden: GoldenCase, java: bool) -> None:
    """Every type, roles and way to treat several files; of the SODA toolkit and of VidChapters'."""
    types = soda_types(any_golden)
    assert sum(map(len, types.values())) >= 14
    for (toolkit, roles, files), kinds in types.items():
        references = (any_golden.references if files in FILE_RULES
                      else [any_golden.references[int(files.removeprefix("file")) - 1]])
        rules = {"soda_roles": roles, "soda_files": FILE_RULES.get(files, "per-file"),
                 # the SODA toolkit cannot read empty lists: its values were taken without them
                 "soda_empty": "skip" if toolkit == "fujiso" else "zero"}
        result = score(GoldenCase(any_golden.predictions, references, {}), java, "soda", rules=rules,
                       metrics=[f"soda_{kind}{part}" for kind in kinds for part in ("_p", "_r", "")])
        for kind in kinds:
            expected = any_golden.scores["soda"]["/".join((toolkit, kind, roles, files))]
            names = [f"soda_{kind}_p", f"soda_{kind}_r", f"soda_{kind}"]
            found = [result.scores[name] for name in names]
            assert found == pytest.approx(expected["PRF"], abs=EXACT), (toolkit, kind, roles, files)
            takes_part = [video for video, row in result.per_video.items() if names[2] in row]
            assert len(takes_part) == expected["videos"]
            for video, triple in expected.get("per_video", {}).items():
                assert [result.per_video[video][name] for name in names] == pytest.approx(triple, abs=EXACT), video


@TOOLS
def test_paragraphs(any_golden: GoldenCase, java: bool) -> None:
    expected = any_golden.scores["paragraph"]
    result = score(any_golden, java, "activitynet-2018", metrics=list(expected["scores"]))
    check_scores(result, expected["scores"])
    assert result.coverage["scored"] == expected["videos"]
    for video, table in expected["per_video"].items():
        ours = {name: result.per_video[video].get(f"para_{name}", 0.0) for name in table}
        assert ours == pytest.approx(table, abs=EXACT), video


@TOOLS
def test_corpus_cider(any_golden: GoldenCase, java: bool) -> None:
    expected = any_golden.scores["activitynet-2018-corpus-cider"]
    result = score(any_golden, java, "activitynet-2018-corpus-cider")
    assert {name: result.scores[name] for name in expected["mean"]} == pytest.approx(expected["mean"], abs=EXACT)
    check_thresholds(result, expected["per_threshold"])


@TOOLS
def test_clips(any_golden: GoldenCase, java: bool) -> None:
    """Event i with event i of the first file."""
    first = GoldenCase(any_golden.predictions, any_golden.references[:1], {})
    vc, recap = any_golden.scores["vidchapters-vc"], any_golden.scores["video-recap"]
    result = score(first, java, "vidchapters-vc")
    check_scores(result, vc["scores"])
    assert result.measures["CIDEr"].statistics[:, 1].sum() == vc["pairs"]
    check_scores(score(first, java, "video-recap"), recap["nlg_eval"] | recap["rouge_mean_f"])


def bootstrap_middle(scores: np.ndarray, seed: int) -> np.ndarray:
    """What Google's package reports instead of the means of (S, 4): the middle of 1000 resampled means, (4,)."""
    generator = np.random.RandomState(seed)
    samples = [[column[generator.choice(len(column), len(column))].mean() for _ in range(1000)] for column in scores.T]
    return np.percentile(samples, 50, axis=1)


def test_google_rouge_as_reported(protocols_golden: GoldenCase) -> None:
    """Ours are the means.  The package's middle of resampled means moves by about 1e-4 with its seed."""
    case = build_case(read_predictions(protocols_golden.predictions, [])[0],
                      read_references(protocols_golden.references[:1], []))
    _, prediction, event = pair_by_order(case, [])
    scores = google_rouge([case.predicted.captions[at] for at in prediction],
                          [case.annotators[0].captions[at] for at in event])
    expected = protocols_golden.scores["video-recap"]["rouge_bootstrap_mid_seeds_0_to_4"]
    for seed in range(2):
        wanted = [values[seed] for values in expected.values()]
        assert bootstrap_middle(scores, seed).tolist() == pytest.approx(wanted, abs=EXACT)


@pytest.fixture(scope="module")
def jar() -> Iterator[JarMeteor]:
    with JarMeteor() as meteor:
        yield meteor


@pytest.mark.java
def test_meteor_pairs(shared: Path, jar: JarMeteor) -> None:
    """The jar behind our interface: 3,000 real pairs, statistics and scores, and the score of their sum."""
    with gzip.open(shared / "golden" / "meteor_pairs.jsonl.gz", "rt") as stream:
        lines = [json.loads(line) for line in stream]
    # The caller's cleaning of the hypothesis is not part of these pairs.
    lines = [line for line in lines if "|||" not in line["reference"] + line["candidate"]
             and "  " not in line["candidate"] and not {"\n", "\r"} & set(line["reference"] + line["candidate"])]
    statistics = jar.statistics([(line["candidate"], line["reference"]) for line in lines])
    assert statistics.tolist() == [[float(x) for x in line["stats"].split()] for line in lines]
    assert jar.score(statistics) == pytest.approx([line["score"] for line in lines], abs=1e-12)
    whole = jar.score(total(statistics, np.zeros(len(lines), dtype=int), 1))[0]
    in_one_line = jar._ask(["EVAL" + "".join(f" ||| {line['stats']}" for line in lines)], len(lines) + 1)
    assert len(lines) > 2500
    assert whole == pytest.approx(float(in_one_line[-1]), abs=1e-12)


@pytest.mark.parametrize(("case", "files"), [("one reference file", 1), ("two reference files", 2)])
class TestMadeUp:
    """Ten made-up videos, scored by pycocoevalcap itself (tests/golden/make_dvc_eval.py)."""

    def test_without_java(self, golden: Path, no_java: Path, case: str, files: int) -> None:
        scores = json.loads((golden / "dvc_eval" / "scores.json").read_text())
        tokeniser = MapTokeniser(scores["tokenised"])
        result = evaluate(golden / "dvc_eval" / "predictions.json",
                          [golden / "dvc_eval" / f"references_{k}.json" for k in range(1, files + 1)],
                          tokeniser=tokeniser, metrics=without_meteor("vidchapters"))
        self.check(result, scores[case], OF_METEOR)

    @pytest.mark.java
    def test_with_java(self, golden: Path, case: str, files: int) -> None:
        scores = json.loads((golden / "dvc_eval" / "scores.json").read_text())
        result = evaluate(golden / "dvc_eval" / "predictions.json",
                          [golden / "dvc_eval" / f"references_{k}.json" for k in range(1, files + 1)])
        assert not result.left_out
        self.check(result, scores[case])

    def check(self, result: Result, expected: dict, but: set[str] = frozenset()) -> None:
        check_scores(result, expected["scores"], but)
        assert set(result.per_video) == set(expected["per_video"])
        for video, table in expected["per_video"].items():
            for name, values in table.items():
                if name not in but:
                    have = [values_at[name] for values_at in result.per_video_thresholds[video].values()
                            if name in values_at]
                    assert have == pytest.approx(values, abs=EXACT), (video, name)
