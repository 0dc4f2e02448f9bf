"""Likely mistakes of those who score moments for the first time: each is read, told or refused in one line."""

import gzip
import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hicm.cli import moment_eval

TRUE = [{"qid": 1, "query": "a dog", "vid": "v1", "duration": 60, "relevant_windows": [[0, 10]],
         "relevant_clip_ids": [0, 1], "saliency_scores": [[4, 4, 4], [2, 3, 4]]},
        {"qid": 2, "query": "a cat", "vid": "v2", "duration": 60, "relevant_windows": [[20, 40]],
         "relevant_clip_ids": [10], "saliency_scores": [[1, 2, 3]]}]
FOUND = [{"qid": 1, "vid": "v1", "pred_relevant_windows": [[0, 9, 0.9], [30, 40, 0.2]],
          "pred_saliency_scores": [0.5] * 30},
         {"qid": 2, "vid": "v2", "pred_relevant_windows": [[22, 40, 0.9]], "pred_saliency_scores": [0.5] * 30}]
TABLE = "query_id,start,end,score\n1,0,9,.9\n1,30,40,.2\n2,22,40,.9\n"
STA = "v1 0.0 10.0##a dog.\nv2 20.0 40.0##a cat.\n"
DURATIONS = 'id,subject,script,length\nv1,x,"two\nlines",60\nv2,y,one,60\n'
BY_LINE = {"0": FOUND[0]["pred_relevant_windows"], "1": FOUND[1]["pred_relevant_windows"]}
MAP = 0.9  # 0-9 of 0-10 and 22-40 of 20-40 both have IoU 0.9, hits at nine of the ten thresholds

Score = Callable[..., tuple[int, str, str]]


def lines(rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def changed(rows: list[dict[str, Any]], **values: Any) -> list[dict[str, Any]]:
    """Rows with other values in the first one."""
    return [{**rows[0], **values}, *rows[1:]]


def renamed(**names: str) -> list[dict[str, Any]]:
    return [{names.get(key, key): value for key, value in row.items()} for row in FOUND]


@pytest.fixture
def score(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Score:
    """moment-eval on files with this content: status, what it printed, what it complained of."""
    def score(predictions: Any, *annotations: Any, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
        names = []
        for at, content in enumerate([predictions, *(annotations or [TRUE])]):
            names.append(f"{'predictions' if at == 0 else f'annotations{at}'}.txt")
            text = content if isinstance(content, str | bytes) else lines(content) if isinstance(
                content, list) else json.dumps(content)
            (tmp_path / names[-1]).write_bytes(text if isinstance(text, bytes) else text.encode())
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back what the program sets
        status = moment_eval([*names, "--metrics", "mAP", *options])
        return status, *capsys.readouterr()
    return score


def mean_precision(done: tuple[int, str, str]) -> float:
    status, out, err = done
    assert status == 0, err
    return float(json.loads(out)["scores"]["mAP"])


# what is read all the same

@pytest.mark.parametrize("content", [
    lines(FOUND).replace("\n", "\r\n"), b"\xef\xbb\xbf" + lines(FOUND).encode(), lines(FOUND).encode("utf-16"),
    gzip.compress(lines(FOUND).encode()), "\n\n" + lines(FOUND) + "\n", json.dumps(FOUND, indent=2),
    lines([{**row, "qid": str(row["qid"])} for row in FOUND]), lines(FOUND[::-1]),
    TABLE, TABLE.replace("\n", "\r\n"), b"\xef\xbb\xbf" + TABLE.encode(), TABLE.replace(",", ";"),
    TABLE.replace(",", "\t"), "\r\n" + TABLE, TABLE.replace("1", '"1"'), TABLE.upper(),
], ids=["windows line ends", "byte order mark", "utf-16", "gzip", "empty lines", "a json list", "ids as text",
        "other order", "table", "table with windows line ends", "table with a byte order mark", "semicolons", "tabs",
        "an empty first line", "quotes", "capitals"])
def test_other_ways_to_write_the_same(content: str | bytes, score: Score) -> None:
    assert mean_precision(score(content, options=("--json",))) == pytest.approx(MAP)


@pytest.mark.parametrize("files", [
    (STA, DURATIONS), (DURATIONS, STA), (STA.replace("\n", "\r\n"), DURATIONS.replace("\n", "\r\n")),
    (b"\xef\xbb\xbf" + STA.encode(), b"\xef\xbb\xbf" + DURATIONS.encode()),
    (STA.replace("a dog", "a\u2028dog\x0c\x85"), DURATIONS.replace("one", "on\x0ce\u2028")),
], ids=["usual order", "durations first", "windows line ends", "byte order marks", "odd line breaks in sentences"])
def test_charades_in_other_ways(files: tuple[str | bytes, str | bytes], score: Score) -> None:
    assert mean_precision(score(BY_LINE, *files, options=("--json",))) == pytest.approx(MAP)


# what is scored with a warning

def test_times_that_are_no_seconds_are_told(score: Score) -> None:
    def scaled(factor: float) -> list[dict[str, Any]]:
        return [{**row, "pred_relevant_windows": [[start * factor, end * factor, value] for start, end, value
                                                  in row["pred_relevant_windows"]]} for row in FOUND]
    early = "are times minutes, or shares of the video? Seconds are expected"
    assert early in score(scaled(1 / 60))[1] and early in score(scaled(1 / 60), options=("--protocol", "hicm"))[1]
    assert "are times frames, or milliseconds? Seconds are expected" in score(scaled(1000))[1]
    assert "are times" not in score(FOUND)[1]


# what is refused

REFUSED: dict[str, tuple[Any, str]] = {
    "nothing": ("", "predictions.txt: is empty; formats of predictions that are read: by_query"),
    "blanks": (" \n\n", "is empty"), "empty list": ("[]", "is empty"), "empty mapping": ("{}", "is empty"),
    "packed nothing": (gzip.compress(b""), "is empty"),
    "truncated gzip": (gzip.compress(lines(FOUND).encode())[:-20], "is the file complete?"),
    "zip": (b"PK\x03\x04\x14", "a zip archive (as .npz, .pt and .xlsx files are); expected text such as json"),
    "numpy": (b"\x93NUMPY\x01", "a numpy array; expected text"), "hdf5": (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    "pickle": (pickle.dumps(FOUND), "a pickle; expected text"),
    "tar": (b"a" * 257 + b"ustar", "a tar archive"),
    "latin-1": (b'{"1": "\xe9"}', "not UTF-8 text (byte 7); save it as UTF-8"),
    "python": ("{'1': [[0, 9, 0.9]]}", "not valid json (line 1, column 2: Expecting property name enclosed in double"),
    "comma": ('{"1": [[0, 9, 0.9]],}', "not valid json (line 1, column 21: "),
    "no header": ("1,0,9,0.9\n", "first line: '1,0,9,0.9'); expected e.g. a .csv or .tsv table whose header names "
                                  "query_id, start, end, score"),
    "yaml": ("results:\n  a: 1\n", "first line: 'results:'); expected e.g. json lines of {\"qid\""),
    "no score": ("query_id,start,end\n1,0,9\n", "holds annotations (format windows_table), expected predictions"),
    "decimal comma": (TABLE.replace(",", ";").replace(".", ","), "row 2: score ',9', expected a number"),
    "minutes and seconds": ("query_id,start,end,score\n1,0:00,0:09,1\n", "row 2: start '0:00', expected a number"),
    "annotations": (TRUE, "holds annotations (format qvhighlights), expected predictions; are predictions and"),
    "captions": ({"results": {"v1": [{"sentence": "x", "timestamp": [0, 3]}]}},
                 "(first entry: 'results': {'v1': [{'sentence': 'x', 'timestamp': [0, 3]}]}); expected e.g. {query: "),
    "wrapped": ({"predictions": FOUND}, "a mapping, not predictions of moments (first entry: 'predictions': [{'qid'"),
    "no nesting": ({"1": [0, 9, 0.9]}, "(first entry: '1': [0, 9, 0.9]); expected e.g. {query: [[start, end, score]]}"),
    "lists": ([[[0, 9, 0.9]]], "not predictions of moments"),
    "other name of qid": (renamed(qid="query_id"), "objects with the keys 'query_id', 'vid', 'pred_relevant_windows', "
                                                   "'pred_saliency_scores', which no format of predictions has; "
                                                   "expected e.g. json lines of {\"qid\""),
    "other name of windows": (renamed(pred_relevant_windows="windows", pred_saliency_scores="scores")[:1],
                              "objects with the keys 'qid', 'vid', 'windows', 'scores', which no format"),
    "id twice": (FOUND + FOUND[:1], "row 3: query 1 occurs twice; keep one of them"),
    "ids are floats": (changed(FOUND, qid=1.0), "row 1: query id 1.0, expected a whole number or text"),
    "padded ids": ([{**row, "qid": f"00{row['qid']}"} for row in FOUND],
                   "none of the 2 annotated queries is predicted; annotated: 1, 2; predicted: 001, 002"),
    "another video": (changed(FOUND, vid="v2"), "query 1 is predicted for video v2, but annotated for video v1"),
    "missing": (FOUND[:1], "1 queries are not predicted (2), which protocol qvhighlights does not allow"),
    "unknown": ([*FOUND, {**FOUND[0], "qid": 3}], "1 predicted queries are not annotated (3), which protocol"),
    "no window": (changed(FOUND, pred_relevant_windows=[]), "1 queries are predicted without a window (1), which"),
    "null": (changed(FOUND, pred_relevant_windows=None), "query 1: pred_relevant_windows: null, expected a list of"),
    "text": (changed(FOUND, pred_relevant_windows=[["0", "9", "0.9"]]), "'0' is text"),
    "one list too many": (changed(FOUND, pred_relevant_windows=[[[0, 9, 0.9]]]), "item 0: [[0, 9, 0.9]], expected "),
    "one list too few": (changed(FOUND, pred_relevant_windows=[0, 9, 0.9]), "item 0: 0, expected [start, end, score]"),
    "two numbers": (changed(FOUND, pred_relevant_windows=[[0, 9]]), "item 0: [0, 9], expected [start, end, score]"),
    "NaN": (changed(FOUND, pred_relevant_windows=[[0, 9, float("nan")]]), "nan is not finite"),
    "NaN of clips": (changed(FOUND, pred_saliency_scores=[float("nan")]), "item 0: [nan], expected a finite number"),
    "nested scores": (changed(FOUND, pred_saliency_scores=[[0.5]]), "item 0: [[0.5]], expected a finite number"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_refused_predictions(mistake: str, score: Score) -> None:
    content, message = REFUSED[mistake]
    status, out, err = score(content)
    assert (status, out) == (2, "") and err.count("\n") == 1 and err.startswith("moment-eval: error: predictions"), err
    assert message in err


REFUSED_ANNOTATIONS: dict[str, tuple[Any, str]] = {
    "nothing": ("", "annotations1.txt: is empty; formats of annotations that are read: charades_cd"),
    "predictions": (FOUND, "holds predictions (format moment_detr), expected annotations; are predictions and"),
    "no labels": ([{key: row[key] for key in ("qid", "query", "vid", "duration")} for row in TRUE],
                  "no query has a true window; a test split without labels cannot be scored: name the file with"),
    "no window": (changed(TRUE, relevant_windows=[]), "query 1: no true window; add one, or leave the query out"),
    "duration as text": (changed(TRUE, duration="60"), "query 1: duration '60', expected a number above 0; '60' is"),
    "no list": (changed(TRUE, relevant_windows=[0, 10]), "relevant_windows, item 0: 0, expected [start, end] in"),
    "clip twice": (changed(TRUE, relevant_clip_ids=[0, 0]), "query 1: relevant_clip_ids: clip 0 is listed twice; keep"),
    "a header": ("video start end sentence\n" + STA, "first line: 'video start end sentence'); expected e.g. lines of "
                                                     "'VIDEO START END##sentence'"),
    "durations alone": (DURATIONS, "0 annotation files and 1 files of durations"),
    "id of two queries": ("query_id,start,end,sentence\n1,0,10,a dog\n1,20,40,a cat\n",
                          "row 3: query 1: sentence 'a cat', but 'a dog' in an earlier row; is the id that of another"),
}


@pytest.mark.parametrize("mistake", REFUSED_ANNOTATIONS)
def test_refused_annotations(mistake: str, score: Score) -> None:
    content, message = REFUSED_ANNOTATIONS[mistake]
    status, out, err = score(FOUND, content)
    assert (status, out) == (2, "") and err.count("\n") == 1 and err.startswith("moment-eval: error: annotations"), err
    assert message in err


def test_a_comparison_names_the_file_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    for name, rows in (("ours", FOUND), ("theirs", FOUND[:1]), ("true", TRUE), ("bare", changed(
            TRUE, relevant_windows=[]))):
        (tmp_path / f"{name}.jsonl").write_text(lines(rows))
    assert moment_eval(["compare", "ours.jsonl", "theirs.jsonl", "true.jsonl"]) == 2
    assert "error: theirs.jsonl: 1 queries are not predicted (2)" in capsys.readouterr().err
    assert moment_eval(["compare", "ours.jsonl", "ours.jsonl", "bare.jsonl"]) == 2
    assert "error: bare.jsonl: query 1: no true window; add one" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "message"), [
    (("--metrics", "mIoU"), "metric 'mIoU' is unknown to protocol qvhighlights; protocols that have it: hicm, "
                            "charades, tacos; known: mAP, "),
    (("--metrics", "mAP,R1@0.5"), "separate several names by blanks"), (("--metrics", "map"), "the nearest is 'mAP'"),
    (("--protocol", "hicm,charades"), "protocol 'hicm,charades' is unknown; separate several names by blanks"),
    (("--rule", "tious=50,70"), "rule tious is '50,70', expected numbers above 0, at most 1"),
    (("--rule", "round=1", "round=2"), "rule round is given twice; keep one"),
    (("--bootstrap", "99999999999"), "samples is 99999999999, expected 1000000 at most, e.g. 1000"),
    (("--rule", "ranges=10,0"), "rule ranges is '10,0', expected 2 to 5 ascending seconds"),
    (("--explain", "7"), "query 7: not scored; scored are 1, 2\n"),
])
def test_refused_requests(options: tuple[str, ...], message: str, score: Score) -> None:
    status, out, err = score(FOUND, options=options)
    assert (status, out) == (2, "") and err.count("\n") == 1 and message in err, err
