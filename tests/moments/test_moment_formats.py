"""Formats of moments: what each reads, how annotations are cleaned, and the one line that refuses damage."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hicm.claims import own_formats
from hicm.errors import UserError
from hicm.moments.read import PARTS, file_sides, read_annotations, read_submission

HIGHLIGHT = {"qid": 3, "query": "a dog runs", "vid": "a_0_20", "duration": 20, "relevant_windows": [[2, 6], [10, 12.5]],
             "relevant_clip_ids": [1, 2, 5], "saliency_scores": [[4, 3, 2], [1, 1, 1], [0, 2, 4]]}
PREDICTED = {"qid": 3, "query": "a dog runs", "vid": "a_0_20", "pred_relevant_windows": [[0, 5, 0.5], [9, 13.0, 0.9]],
             "pred_saliency_scores": [0.5, -1, 2.25]}
DURATIONS = "id,subject,scene,length\nAB,x,\"a room, large\",10.5\nCD,y,hall,30\n"
STA = "AB 1.0 4.5##someone opens a door.\nCD 29 12##she sits.\nAB 11 12##beyond the end.\nCD 20 31.5##cut.\n"


def lines(*rows: dict[str, Any]) -> str:
    return "\n".join(map(json.dumps, rows)) + "\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(content: Any, name: str = "file.json") -> str:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(path)
    return write


def spans(annotations: Any) -> dict[str, list[list[float]]]:
    return {query.id: query.windows.tolist() for query in annotations.queries}


# annotations

def test_qvhighlights(write: Any) -> None:
    test_release = {key: HIGHLIGHT[key] for key in ("query", "vid", "duration")} | {"qid": 4}
    found = read_annotations(write(lines(HIGHLIGHT, test_release)), [])
    one, two = found.queries
    assert found.format == "qvhighlights"
    assert (one.id, one.text, one.video, one.duration) == ("3", "a dog runs", "a_0_20", 20)
    assert one.windows.tolist() == HIGHLIGHT["relevant_windows"] and one.clips is not None and one.ratings is not None
    assert one.clips.tolist() == [1, 2, 5] and one.ratings.tolist() == HIGHLIGHT["saliency_scores"]
    assert two.windows.shape == (0, 2) and two.clips is None and two.ratings is None


def test_charades_sta_is_cleaned_by_durations(write: Any) -> None:
    warnings: list[str] = []
    found = read_annotations([write(STA, "sta.txt"), write(DURATIONS, "charades.csv")], warnings)
    assert spans(found) == {"0": [[1.0, 4.5]], "1": [[12.0, 29.0]], "3": [[20.0, 30.0]]}, "ids are line numbers"
    assert [query.duration for query in found.queries] == [10.5, 30.0, 30.0]
    assert found.queries[0].text == "someone opens a door."
    assert sorted(found.counts.values()) == [1, 1, 1] and len(warnings) == 3
    assert all("sta.txt: " in line and line.endswith(": 1") for line in warnings)


def test_charades_sta_without_durations_says_so(write: Any) -> None:
    warnings: list[str] = []
    found = read_annotations(write(STA, "sta.txt"), warnings)
    assert spans(found)["3"] == [[20.0, 31.5]] and found.queries[0].duration is None
    assert "name the csv table of Charades" in warnings[0] and "exchanged: 1" in warnings[1]


@pytest.mark.parametrize(("key", "name"), [("video_duration", "charades_cd"), ("duration", "charades_cg")])
def test_charades_cd_and_cg(write: Any, key: str, name: str) -> None:
    content = {"AB": {"timestamps": [[1, 4.5], [11, 12], [2, 20]], "sentences": ["one", "two", "three"], key: 10.5},
               "CD": {"timestamps": [[9, 3]], "sentences": ["four"], key: 30, "decode_fps": 16.0}}
    found = read_annotations(write(content), [])
    assert found.format == name
    assert spans(found) == {"1": [[1, 4.5]], "3": [[2, 10.5]], "4": [[3, 9]]}, "skipped sentences are counted"


def test_tacos_is_in_frames(write: Any) -> None:
    video = {"timestamps": [[-5, 50], [80, 70], [90, 300]], "sentences": ["one", "two", "three"]}
    found = read_annotations(write({"s1.avi": video | {"fps": 10, "num_frames": 200}}), [])
    assert spans(found) == {"1": [[0, 5]], "2": [[9, 20]]} and found.queries[0].duration == 20
    assert dict(found.counts) == {"queries skipped (start after end)": 1, "spans cut to the video": 2}


def test_a_table_of_true_windows(write: Any) -> None:
    rows = ("query_id start end video duration sentence", "q1 1 2 v 9 a, b", "q2 3 4 w 9 ", "", "q1 5 6 v 9 a, b")
    text = "\n".join("\t".join(row.split(" ", 5)) for row in rows)
    found = read_annotations(write(text, "windows.tsv"), [])
    assert spans(found) == {"q1": [[1, 2], [5, 6]], "q2": [[3, 4]]}
    assert found.queries[0].text == "a, b" and found.queries[0].video == "v" and found.queries[0].duration == 9


def test_a_duration_in_other_words_is_the_same(write: Any) -> None:
    """60 and 60.0, and cells that say nothing."""
    rows = ("query_id,start,end,duration,video,sentence", "1,0,5,60,v,a dog", "1,6,9,60.0,v,a dog", "1,7,8,,,",
            "2,0,1,,,", "2,3,4,5,w,")
    one, two = read_annotations(write("\n".join(rows), "windows.csv"), []).queries
    assert (one.duration, one.video, one.text, len(one.windows)) == (60.0, "v", "a dog", 3)
    assert (two.duration, two.video, two.text) == (5.0, "w", "")


# predictions

def test_every_format_says_the_video(write: Any) -> None:
    for content in (lines(PREDICTED), {"3": {"timestamp": [[1, 2]], "vid": "a_0_20"}},
                    "qid,video,start,end,score\n3,a_0_20,1,2,1\n"):
        assert read_submission(write(content), []).predictions["3"].video == "a_0_20"
    for content in ({"3": [[1, 2]]}, "qid,start,end,score\n3,1,2,1\n", lines(without(PREDICTED, "vid"))):
        assert read_submission(write(content), []).predictions["3"].video == ""


@pytest.mark.parametrize("packed", [False, True])
def test_moment_detr(write: Any, packed: bool) -> None:
    other = PREDICTED | {"qid": "4", "pred_relevant_windows": [], "run": "r"}
    path = write(lines(PREDICTED, other), "submission.jsonl")
    if packed:
        Path(path).write_bytes(gzip.compress(Path(path).read_bytes()))
    for source in (path, [PREDICTED, other], write([PREDICTED, other])):
        found = read_submission(source, [])
        assert found.format == "moment_detr" and list(found.predictions) == ["3", "4"] and found.run is None
        one, two = found.predictions.values()
        assert one.windows is not None and one.windows.tolist() == PREDICTED["pred_relevant_windows"]
        assert one.saliency is not None and one.saliency.tolist() == [0.5, -1, 2.25]
        assert two.windows is not None and two.windows.shape == (0, 3)


def test_by_query(write: Any) -> None:
    timechat = {"3": {"timestamp": [[1, 2], [3, 4]], "query": "a", "vid": "v.mp4"}, "4": {"timestamp": []}}
    found = read_submission(write(timechat), []).predictions
    assert found["3"].windows is not None and found["3"].windows[:, :2].tolist() == [[1, 2], [3, 4]]
    assert (np.diff(found["3"].windows[:, 2]) < 0).all() and found["4"].windows is not None
    scored = read_submission({"3": [[1, 2, 0.1], [3, 4, 0.9]]}, []).predictions["3"].windows
    assert scored is not None and scored.tolist() == [[1, 2, 0.1], [3, 4, 0.9]]


def test_what_hicm_predict_writes(write: Any) -> None:
    content = {"run": "mine-1", "task": "moments", "results": {
        "v": [{"qid": "7", "query": "a", "windows": [[1, 2, 0.5]], "saliency": [0.1, 2]}], "none": [],
        "w": [{"qid": 8, "query": "b", "windows": []}]}}
    found = read_submission(write(content), [])
    assert (found.format, found.run, list(found.predictions)) == ("hicm_run", "mine-1", ["7", "8"])
    one, two = found.predictions.values()
    assert one.windows is not None and one.windows.tolist() == [[1, 2, 0.5]] and (one.video, two.video) == ("v", "w")
    assert one.saliency is not None and one.saliency.tolist() == [0.1, 2] and two.saliency is None


def test_a_table_of_scored_windows(write: Any) -> None:
    found = read_submission(write("query_id,start,end,score\n7,1,2,.5\n8,0,1,1\n7,3,4,-1e-3\n", "windows.csv"), [])
    assert {name: one.windows.tolist() for name, one in found.predictions.items() if one.windows is not None} == {
        "7": [[1, 2, 0.5], [3, 4, -0.001]], "8": [[0, 1, 1]]}


def test_what_a_file_may_be(write: Any) -> None:
    assert file_sides(write(lines(PREDICTED))) == {"predictions"}
    for content in (lines(HIGHLIGHT), DURATIONS, STA):
        assert file_sides(write(content)) == {"references"}


def test_every_format_says_what_it_is() -> None:
    assert len(own_formats(PARTS[0])) >= 10
    for name, part in own_formats(PARTS[0]).items():
        assert part.FORM and part.SIDE in ("predictions", "annotations", "durations"), name


# what is refused

def without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


RUN_ROW = {"qid": 7, "windows": [[1, 2, 0.5]]}
BAD_PREDICTIONS = [
    ({"results": {"v": [RUN_ROW], "w": [RUN_ROW]}}, "video w: item 0: query 7 occurs twice; keep one"),
    ({"results": {"v": [RUN_ROW], "w": 3}}, "video w: a number, expected a list of queries"),
    ({"results": {"v": [RUN_ROW, 3]}}, "video v: item 1: a number, expected a query with its windows"),
    ({"results": {"v": [RUN_ROW, {"qid": 8}]}}, "item 1: query 8: windows: null, expected a list of"),
    ({"results": {"v": [RUN_ROW | {"windows": [[1, 2]]}]}}, r"query 7: windows, item 0: \[1, 2\], expected \[start"),
    ({"results": {"v": [RUN_ROW | {"saliency": "x"}]}}, "query 7: saliency: text, expected a list of numbers"),
    (lines(PREDICTED, PREDICTED), "row 2: query 3 occurs twice; keep one"),
    (lines(PREDICTED | {"qid": None}), "row 1: query id None, expected a whole number or text"),
    (lines(PREDICTED | {"qid": True}), "row 1: query id True"),
    (lines(PREDICTED, without(PREDICTED | {"qid": 4}, "pred_saliency_scores")),
     "query 4: has no 'pred_saliency_scores', unlike the first row"),
    (lines(PREDICTED | {"pred_relevant_windows": [[1, 2]]}),
     r"query 3: pred_relevant_windows, item 0: \[1, 2\], expected \[start, end, score\]"),
    (lines(PREDICTED | {"pred_relevant_windows": [[1, 2, "0.5"]]}), "'0.5' is text"),
    (lines(PREDICTED | {"pred_relevant_windows": [[1, 2, float("nan")]]}), "nan is not finite"),
    (lines(PREDICTED | {"pred_relevant_windows": [[1, 10 ** 400, 1]]}), "is not finite"),
    (lines(PREDICTED | {"pred_relevant_windows": [[1, True, 1]]}), "True is true/false"),
    (lines(PREDICTED | {"pred_relevant_windows": {"a": 1}}), "pred_relevant_windows: a mapping, expected a list of"),
    (lines(PREDICTED | {"pred_saliency_scores": []}), "pred_saliency_scores is empty, expected a score for every clip"),
    (lines(PREDICTED | {"pred_saliency_scores": [1, None]}), r"pred_saliency_scores, item 1: \[None\], .* null"),
    (lines(PREDICTED) + "{\"qid\": 4, \"pred_rel", "line 2: not a json object; is the file complete"),
    (lines(HIGHLIGHT), r"holds annotations \(format qvhighlights\), expected predictions; are .* swapped"),
    ({"3": [[1, 2, 3, 4]]}, r"query 3, item 0: \[1, 2, 3, 4\], expected \[start, end, score\]"),
    ({"3": [[1, 2], [1, "x"]]}, "query 3, item 1: .* 'x' is text"),
    ({"3": [[1, 2], [1, 2, 0.5]]}, "query 3, item 0"),
    ({"results": {"a": []}}, r"a mapping, not predictions of moments \(first entry: 'results': .*; formats of pre"),
    ([], "is empty; formats of predictions that are read: by_query"),
    ([{"query": "a"}], "objects with the keys 'query', which no format of predictions has"),
    ("hello\n", "not predictions of moments .first line: 'hello'"),
    ("query_id,start,end,score\n1,2\n", "row 2: 2 cells, expected 4"),
    ("query_id,start,end,score\n1,2,x,1\n", "row 2: end 'x', expected a number"),
    ("query_id,start,end,score\n1,2,inf,1\n", "row 2: end 'inf', expected a number"),
    ("query_id,start,end,score\n,2,3,1\n", "row 2: query id '', expected"),
    ("qid,start,end,score,video\n1,2,3,1,v\n1,2,3,1,w\n", "row 3: query 1: video 'w', but 'v' in an earlier row; is"),
    ("query_id,start,end,score\n", "no predictions; expected at least one query"),
]
BAD_ANNOTATIONS = [
    (lines(HIGHLIGHT, HIGHLIGHT), "row 2: query 3 occurs twice"),
    (lines(HIGHLIGHT | {"duration": 0}), "query 3: duration 0, expected a number above 0"),
    (lines(HIGHLIGHT | {"duration": "150"}), "query 3: duration '150'"),
    (lines(HIGHLIGHT | {"relevant_windows": [[1, 2, 3]]}),
     r"relevant_windows, item 0: \[1, 2, 3\], expected \[start, end\]"),
    (lines(HIGHLIGHT | {"relevant_clip_ids": [1]}), "1 relevant_clip_ids but 3 saliency_scores"),
    (lines(HIGHLIGHT | {"relevant_clip_ids": [1, 2, 10]}), "clip 10, expected whole numbers from 0, of"),
    (lines(HIGHLIGHT | {"relevant_clip_ids": [1, 2, 3.5]}), "clip 3.5"),
    (lines(HIGHLIGHT | {"saliency_scores": [[1, 2]] * 3}), "expected the ratings of three annotators"),
    (lines(PREDICTED), r"holds predictions \(format moment_detr\), expected annotations"),
    (STA + "CD 1 2 no mark\n", "line 5: 'CD 1 2 no mark', expected 'VIDEO START END##sentence'"),
    (DURATIONS, "0 annotation files and 1 files of durations"),
    ({"a": {"timestamps": [[1, 2]], "sentences": [], "duration": 3}}, "video a: 1 timestamps but 0 sentences"),
    ({"a": {"timestamps": [[1]], "sentences": ["x"], "duration": 3}}, r"video a, item 0: timestamp \[1\]"),
    ({"a": {"timestamps": [[1, 2]], "sentences": ["x"], "duration": None}}, "video a, item 0: duration None"),
    ({"a": {"timestamps": [[1, 2]], "sentences": ["x"], "duration": 3}, "b": 4},
     "video b: a number, expected a mapping"),
    ({"a": {"timestamps": [[1, 2]], "sentences": ["x"], "fps": 0, "num_frames": 9}}, "item 0: fps 0"),
    ({"a": {"timestamps": [[1, 2]], "sentences": ["x"], "video_duration": -1}}, "item 0: video_duration -1"),
    ("query_id,start,end\na,3,2\n", "row 2: query a: ends at 2, before its start 3; exchange them"),
    ("query_id,start,end,duration\na,1,2,9\na,3,4,8\n", "row 3: query a: duration '8', but '9' in an earlier row"),
    ("query_id,start,end,sentence\na,1,2,one\na,3,4,two\n", "query a: sentence 'two', but 'one' in an earlier row; is"),
    ("query_id,start,end,duration\na,1,2,one\n", "row 2: duration 'one', expected a number"),
    ("query_id,start,end,duration\na,1,2,-9\n", "row 2: duration -9.0, expected a number above 0"),
    ("query_id,start,end\n", "no queries; expected"),
]


@pytest.mark.parametrize(("content", "message"), BAD_PREDICTIONS)
def test_bad_predictions(content: Any, message: str, write: Any) -> None:
    with pytest.raises(UserError, match=f"^.*file.json: .*{message}"):
        read_submission(write(content), [])


@pytest.mark.parametrize(("content", "message"), BAD_ANNOTATIONS)
def test_bad_annotations(content: Any, message: str, write: Any) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_annotations(write(content), [])
    assert "file.json" in str(error.value)


@pytest.mark.parametrize("row", ["AB,x,", "AB,x,ten", ",x,9", "AB,x,0", "AB"])
def test_bad_durations(row: str, write: Any) -> None:
    rows = f"id,subject,length\n{row}\n"
    with pytest.raises(UserError, match=r"charades.csv: row 2: video .*, expected an id and seconds"):
        read_annotations([write(STA, "sta.txt"), write(rows, "charades.csv")], [])


def test_bad_sets_of_files(write: Any) -> None:
    one, table = write(STA, "sta.txt"), write(lines(HIGHLIGHT), "val.jsonl")
    durations = write(DURATIONS, "charades.csv")
    for files, message in (([one, table], "2 annotation files and 0 files of durations"),
                           ([one, durations, durations], "1 annotation files and 2 files of durations"),
                           ([], "0 annotation files"),
                           ([table, durations], "charades.csv: durations of Charades' videos, which .*val.jsonl does")):
        with pytest.raises(UserError, match=message):
            read_annotations(files, [])
    with pytest.raises(UserError, match="line 1: video AB is not among the 1 videos with a duration"):
        read_annotations([one, write("id,subject,length\nCD,x,9\n", "other.csv")], [])


def test_named_formats(write: Any) -> None:
    path = write(lines(PREDICTED))
    assert read_submission(path, [], "moment_detr").predictions
    with pytest.raises(UserError, match=r"not predictions in the format by_query: .*; it looks like moment_detr"):
        read_submission(path, [], "by_query")
    with pytest.raises(UserError, match=r"not annotations in the format moment_detr"):
        read_annotations(path, [], "moment_detr")
    with pytest.raises(UserError, match=r"--format: expected one of .*, found 'momentdetr'; did you mean 'moment_de"):
        read_submission(path, [], "momentdetr")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.jsonl: predictions cannot be read"):
        read_submission(str(tmp_path / "none.jsonl"), [])
