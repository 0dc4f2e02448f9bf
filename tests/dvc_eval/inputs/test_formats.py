"""Every format gives the scores of the same events in this project's own; what cannot be read is counted or refused."""

import codecs
import gzip
import io
import json
import re
import sys
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hicm import source
from hicm.cli import main
from hicm.dvc_eval import Result, evaluate
from hicm.dvc_eval.inputs import detect
from hicm.dvc_eval.inputs.detect import PARTS
from hicm.dvc_eval.inputs.read import read_inputs
from hicm.errors import UserError
from hicm.plugins import known

METRICS = ["CIDEr", "F1", "soda_d"]
ONE, TWO = "v_abcdefghij1", "v_klmnopqrst2"
REFERENCES = {ONE: {"duration": 40, "timestamps": [[0, 10], [10, 20]], "sentences": ["add the salt", "stir it well"]},
              TWO: {"duration": 20, "timestamps": [[2, 8], [9, 20]], "sentences": ["wash the rice", "boil the rice"]}}
EVENTS = {ONE: [((0, 10), "add the salt"), ((10, 18), "stir it")], TWO: [((2, 8), "wash the rice")]}
OWN = {video: [{"sentence": text, "timestamp": list(span)} for span, text in events]
       for video, events in EVENTS.items()}
ROWS = [(video, *span, text) for video, events in EVENTS.items() for span, text in events]
ANSWERS = {video: " ".join(f"{start} - {end} seconds, {text}." for (start, end), text in events)
           for video, events in EVENTS.items()}


def lines(rows: list[dict[str, Any]]) -> str:
    return "\n".join(map(json.dumps, rows)) + "\n"


def hundredths(video: str) -> list[dict[str, str]]:
    """VTimeLLM's times, which end with the hundredth that they name."""
    share = 100 / REFERENCES[video]["duration"]
    return [{"event": text, "timestamps": f"from {round(start * share):02} to {round(end * share) - 1:02}"}
            for (start, end), text in EVENTS[video]]


BY_VIDEO = [{"video_id": video, "timestamps": [list(span) for span, _ in events],
             "sentences": [text for _, text in events]} for video, events in EVENTS.items()]
EXAMPLES = {  # "format, variant" -> a file with EVENTS
    "results": json.dumps({"version": "1", "results": OWN, "external_data": {}}),
    "results, inner": json.dumps(OWN),
    "timechat": json.dumps({f"{video.removeprefix('v_')}.mp4": [{"timestamp": list(span), "caption": text}
                                                                for span, text in events]
                            for video, events in EVENTS.items()}),
    "answers, raw results of TimeChat": json.dumps([{"vname": f"{video}.mp4", "generated_cap": answer, "id": 3}
                                                    for video, answer in ANSWERS.items()]),
    "answers, mapping": json.dumps(ANSWERS),
    "answers, lines": lines([{"video_id": video, "answer": answer} for video, answer in ANSWERS.items()]),
    "vtimellm": lines([{"video_id": video, "task": "captioning", "query_id": 0,
                        "answer": f"Here it is:\n{json.dumps(hundredths(video))}"} for video in EVENTS]
                      + [{"video_id": ONE, "task": "grounding", "query_id": 0, "answer": "He sits from 17 to 34."}]),
    "vtimellm, in words": lines([{"video_id": video, "task": "captioning", "query_id": 0, "answer": " ".join(
        f"{one['event']}, {one['timestamps']}." for one in hundredths(video))} for video in EVENTS]),
    "events": lines([{"video_id": video, "timestamp": [start, end], "sentence": text}
                     for video, start, end, text in ROWS]),
    "events, other names": json.dumps([{"vid": video, "start": start, "end": end, "caption": text, "id": 7}
                                       for video, start, end, text in ROWS]),
    "videos": lines(BY_VIDEO),
    "videos, with events": json.dumps([{"video": video, "duration": 9, "events": [
        {"segment": list(span), "description": text} for span, text in events]} for video, events in EVENTS.items()]),
    "table": "video_id,start,end,sentence\n" + "".join(f'{video},{start},{end},"{text}"\n'
                                                      for video, start, end, text in ROWS),
    "table, tabs": "id\tcaption\tstart_time\tend_time\n" + "".join(f"{video}\t{text}\t{start}\t{end}\n"
                                                                  for video, start, end, text in ROWS),
    "text": "\n\n".join(f"{video}\n{answer}" for video, answer in ANSWERS.items()),
    "text, id first": "".join(f"{video}: {start} - {end} seconds, {text}\n" for video, start, end, text in ROWS),
    "text, many lines": "".join(f"# {video}\n" + "".join(
        f"from {start} to {end} seconds, {text}\n" for (start, end), text in events)
        for video, events in EVENTS.items()),
}
REFERENCE_EXAMPLES = {
    "annotations": json.dumps(REFERENCES),
    "youcook2": json.dumps({"database": {video: {"duration": entry["duration"], "subset": "validation", "annotations": [
        {"id": at, "segment": span, "sentence": text} for at, (span, text) in enumerate(
            zip(entry["timestamps"], entry["sentences"], strict=True))]} for video, entry in REFERENCES.items()}}),
    "coco": json.dumps({"annotations": [{"image_id": f"x/{video}.mp4", "segments": entry["timestamps"],
                                         "caption": ". ".join(entry["sentences"]) + "."}
                                        for video, entry in REFERENCES.items()]}),
    "videos": json.dumps([{"video_id": video, **entry} for video, entry in REFERENCES.items()]),
    "videos, of the hub": lines([{"video_id": video, "duration": entry["duration"],
                                  "captions_starts": [span[0] for span in entry["timestamps"]],
                                  "captions_ends": [span[1] for span in entry["timestamps"]],
                                  "en_captions": entry["sentences"]} for video, entry in REFERENCES.items()]),
    "events": lines([{"video_id": video, "segment": span, "text": text} for video, entry in REFERENCES.items()
                     for span, text in zip(entry["timestamps"], entry["sentences"], strict=True)]),
}


def score(predictions: Any, references: Any = REFERENCES, **options: Any) -> Result:
    return evaluate(predictions, references, metrics=METRICS, **options)


@pytest.fixture(scope="module")
def wanted() -> dict[str, float]:
    return score({"results": OWN}).scores


@pytest.mark.parametrize("name", EXAMPLES)
def test_predictions(tmp_path: Path, wanted: dict[str, float], name: str) -> None:
    path = tmp_path / "predictions"
    path.write_text(EXAMPLES[name], encoding="utf-8")
    assert score(path).scores == pytest.approx(wanted, abs=1e-9)
    assert score(path, format=name.partition(",")[0]).scores == score(path).scores


@pytest.mark.parametrize("name", REFERENCE_EXAMPLES)
def test_references(tmp_path: Path, wanted: dict[str, float], name: str) -> None:
    path = tmp_path / "references.json"
    path.write_text(REFERENCE_EXAMPLES[name], encoding="utf-8")
    assert score(OWN, path).scores == wanted
    assert score(OWN, path, reference_format=name.partition(",")[0]).scores == wanted


def test_every_format_has_an_example() -> None:
    names = {name.partition(",")[0] for name in (*EXAMPLES, *REFERENCE_EXAMPLES)}
    assert names == set(known(*PARTS, "read"))


@pytest.mark.parametrize("name", ["results", "timechat", "vtimellm", "table", "text"])
def test_packed_and_marked_files(tmp_path: Path, wanted: dict[str, float], name: str) -> None:
    text = EXAMPLES[name]
    forms = {"bom": codecs.BOM_UTF8 + text.encode(), "utf16": text.encode("utf-16"),
             "packed": gzip.compress(text.encode()), "both": gzip.compress(codecs.BOM_UTF8 + text.encode()),
             "twice": gzip.compress(text[:50].encode()) + gzip.compress(text[50:].encode()),
             "windows": text.replace("\n", "\r\n").encode()}
    for form, content in forms.items():
        (tmp_path / form).write_bytes(content)
        assert score(tmp_path / form).scores == pytest.approx(wanted, abs=1e-9), form


def test_content_that_was_passed(wanted: dict[str, float]) -> None:
    for name in ("timechat", "answers, mapping", "events, other names"):
        assert score(json.loads(EXAMPLES[name])).scores == pytest.approx(wanted, abs=1e-9)
    assert score(OWN, json.loads(REFERENCE_EXAMPLES["videos"])).scores == wanted


def test_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.json").write_text(json.dumps(REFERENCES))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(EXAMPLES["timechat"].encode())))
    assert main(["evaluate", "-", "r.json", "--metrics", "CIDEr", "--explain", TWO, "--out", "m.json"]) == 0
    out = capsys.readouterr().out
    assert "'wash the rice'" in out and "warning: standard input: 2 ids are names of files" in out
    assert {path.name for path in tmp_path.iterdir()} == {"r.json", "m.json"}


def test_a_format_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, float]) -> None:
    (tmp_path / "bars.py").write_text("""
FORM = "video|start|end|caption"
def matches(source):
    return source.text.startswith("bars")
def read(source, reading):
    for line in source.text.splitlines()[1:]:
        video, start, end, caption = line.split("|")
        reading.add(reading.video(video), [float(start), float(end)], caption)
""")
    about = tmp_path / "bars-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bars\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[hicm.formats]\nbars = bars\n")
    monkeypatch.syspath_prepend(tmp_path)
    detect.other_formats.cache_clear()
    (tmp_path / "p").write_text("bars\n" + "\n".join("|".join(map(str, row)) for row in ROWS))
    assert score(tmp_path / "p").scores == wanted == score(tmp_path / "p", format="bars").scores
    detect.other_formats.cache_clear()


# --- nothing is lost in silence ---------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "message"), [
    (EXAMPLES["text"] + "\nand then he leaves", "1 line without .*first: video v_k.*: 'and then he"),
    (lines([{"video_id": ONE, "answer": ANSWERS[ONE]}, {"video_id": TWO, "answer": "I cannot see a video."}]),
     f"1 line without .*first: video {TWO}: 'I cannot see"),
    (EXAMPLES["vtimellm"] + '{"video_id": "v_x", "task": "capt', "1 line without .*line 4: 'not a json object'"),
    (EXAMPLES["vtimellm"].replace("from 10", "from aa"), f"1 line without .*video {TWO}: 'from aa to 39 wash"),
    (EXAMPLES["table"] + f"{TWO},,,left\n{TWO},1,,out\n", "2 lines without .*row 5: 'left'"),
    (lines([{"video_id": ONE, "start": 0, "end": 9, "text": "a"}, {"video_id": ONE, "start": 0, "text": "lost"}]),
     "1 line without .*'lost'"),
    (lines([*BY_VIDEO, BY_VIDEO[0]]), f"1 videos occur twice .*{ONE}.*the last one counts"),
])
def test_what_cannot_be_read_is_counted(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p").write_text(text)
    found: list[str] = []
    read_inputs(tmp_path / "p", REFERENCES, found)
    assert any(re.search(message, warning) for warning in found), found


def test_a_refusal_is_an_empty_prediction(tmp_path: Path) -> None:
    (tmp_path / "p").write_text(lines([{"video_id": ONE, "answer": ANSWERS[ONE]}, {"video_id": TWO, "answer": "No."}]))
    assert score(tmp_path / "p").coverage["empty"] == [TWO]


def test_names_of_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(EXAMPLES["timechat"])
    result = score(tmp_path / "p.json")
    assert any("2 ids are names of files; abcdefghij1.mp4 is taken for v_abcdefghij1" in one for one in result.warnings)
    both = json.loads(EXAMPLES["timechat"]) | {f"{ONE}.mkv": [{"timestamp": [0, 1], "caption": "x"}]}
    with pytest.raises(UserError, match=r"abcdefghij1\.mp4 and v_abcdefghij1\.mkv are the same video, v_abcdefghij1"):
        score(both)


def test_subsets_of_youcook2(tmp_path: Path) -> None:
    content = json.loads(REFERENCE_EXAMPLES["youcook2"])
    content["database"]["t"] = {"subset": "training", "annotations": [{"segment": [0, 1], "sentence": "x"}]}
    whole = score(OWN, content, protocol="hicm")
    assert whole.coverage["videos"] == 3
    assert any("2 validation, 1 training" in one and "youcook2:validation" in one for one in whole.warnings)
    part = score(OWN, content, reference_format="youcook2:validation")
    assert part.coverage["videos"] == 2 and not any("subsets" in one for one in part.warnings)
    with pytest.raises(UserError, match="no video of subset 'val'; found 'validation', 'training'"):
        score(OWN, content, reference_format="youcook2:val")
    with pytest.raises(UserError, match="--format results:a: the format results has no subsets"):
        score(OWN, format="results:a")


# --- one line for what is wrong ---------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "options", "message"), [
    (lines([{"video_id": ONE, "timestamps": [[0, 1]], "sentences": ["a"], "text": "a"}]), {},
     "may be in the format events or videos; name the right one with --format"),
    (EXAMPLES["timechat"], {"format": "vtimellm"}, "not in the format vtimellm: lines of .*; it looks like timechat"),
    ("hello", {"format": "text"}, "not in the format text: lines like [^;]*$"),
    (EXAMPLES["timechat"], {"format": "timechatt"}, "--format: expected one of .*did you mean 'timechat'"),
    (REFERENCE_EXAMPLES["youcook2"], {}, "this is an annotation file"),
    ('[{"qid": 1, "query": "x"}]', {}, "objects with the keys 'qid', 'query', which no format of predictions has"),
    ("hello world", {}, "not valid json"), ("", {}, "not valid json"), ("[1, 2]", {}, "found a list"),
    (lines([{"video_id": ONE, "task": "captioning", "answer": "no"}]), {}, "no event was found .first line: video v_a"),
    (json.dumps({ONE: [{"caption": "a", "timestamp": [0, 1]}, {"caption": "a"}]}), {},
     f"video {ONE}, event 1: expected .*found 'caption'"),
    (json.dumps({ONE: [{"caption": "a", "timestamp": [0, "x"]}]}), {}, f"video {ONE}, event 0: timestamp .*found text"),
    (lines([{"video_id": None, "start": 0, "end": 1, "text": "a"}]), {}, "row 0: video id None, expected text"),
    ("video_id,start,end,text\na,0,b,c\n", {}, "row 2: times '0' and 'b', expected seconds"),
    ("video_id,start,end,text\na,0\n", {}, "row 2: 2 cells, expected 4"),
])
def test_refused_in_one_line(tmp_path: Path, text: str, options: dict[str, str], message: str) -> None:
    path = tmp_path / ONE
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        score(path, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "message"), [
    (gzip.compress(b"{" * 1000)[:-9], "cannot be unpacked .*is the file complete"),
    (b"\x1f\x8bxx", "cannot be unpacked"),
    (gzip.compress(b"\xff{}"), "is not UTF-8 text"), (gzip.compress(b""), "not valid json"),
], ids=["cut off", "no header", "no text", "empty"])
def test_damaged_packed_files(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "p.json.gz").write_bytes(content)
    with pytest.raises(UserError, match=message):
        score(tmp_path / "p.json.gz")


def test_a_small_file_that_unpacks_to_a_huge_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LARGEST", 1000)
    (tmp_path / "p.json.gz").write_bytes(gzip.compress(b" " * 1001))
    with pytest.raises(UserError, match="unpacks to more than"):
        score(tmp_path / "p.json.gz")


def test_hundredths_need_durations() -> None:
    without = {video: {**entry, "duration": None} for video, entry in REFERENCES.items()}
    rows = [json.loads(line) for line in EXAMPLES["vtimellm"].splitlines()]
    with pytest.raises(UserError, match=f"video {ONE}: times are hundredths of its length, but the references give no"):
        score(rows, without)


def test_which_side_a_file_may_be(tmp_path: Path) -> None:
    sides = {"results": {"predictions"}, "vtimellm": {"predictions"}, "events": {"predictions", "references"}}
    for name, wanted_sides in sides.items():
        (tmp_path / "p").write_text(EXAMPLES[name])
        assert detect.sides_of(str(tmp_path / "p")) == wanted_sides


def test_compare_reads_other_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("a.json", EXAMPLES["timechat"]), ("b.jsonl", EXAMPLES["events"]), ("c.csv", EXAMPLES["table"]),
                       ("r.jsonl", REFERENCE_EXAMPLES["events"]), ("r.json", json.dumps(REFERENCES))):
        (tmp_path / name).write_text(text)
    for references in ("r.jsonl", "r.json"):
        files = [str(tmp_path / name) for name in ("a.json", "b.jsonl", "c.csv", references)]
        assert main(["compare", *files, "--metrics", "F1", "--samples", "20"]) == 0
        assert "c.csv" in capsys.readouterr().out


def test_real_predictions_of_timechat(shared: Path) -> None:
    """TimeChat's own file, with the F1 of its script, here in plain loops; over 414 of the videos it is 11.95."""
    path = shared / "real" / "predictions" / "timechat_yc2" / "predictions.json.gz"
    references = json.loads((shared / "data" / "yc2" / "val.json").read_text())
    result = evaluate(path, references, metrics=["F1_per_video"], rules={"f1": "per-video"})
    assert result.coverage["scored"] == 415 and not result.coverage["unknown"]
    found = []
    for video, events in json.loads(gzip.decompress(path.read_bytes())).items():
        spans = references[f"v_{video.removesuffix('.mp4')}"]["timestamps"]
        iou = np.array([[overlap(event["timestamp"], span) for span in spans] for event in events])
        precision, recall = (np.mean([(iou.max(axis=axis) > tiou).mean() for tiou in (0.3, 0.5, 0.7, 0.9)])
                             for axis in (1, 0))
        found.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    assert result.scores["F1_per_video"] == pytest.approx(np.mean(found), abs=1e-12)
    assert round(100 * result.scores["F1_per_video"], 2) == 11.97


def overlap(one: list[float], two: list[float]) -> float:
    """IoU; 0 for a reversed span, of which the file has 15: the script exchanges their ends, and gives 11.98."""
    return max(0.0, min(one[1], two[1]) - max(one[0], two[0])) / (max(one[1], two[1]) - min(one[0], two[0]) + 1e-8)


PIECES = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\n", b"null", b"1e999", b"NaN", b"-", b"\\ud800",
          b"0 - 9 seconds", b"\xef\xbb\xbf", b"\0", b"true", b'""', b"{}", b"[]", b"9" * 400, b"from 0 to "]
KEYS = [b'"sentence"', b'"timestamp"', b'"caption"', b'"video_id"', b'"answer"', b'"results"', b'"duration"', b'"task"',
        b'"annotations"', b'"segment"', b'"image_id"', b'"vname"', b'"events"', b'"timestamps"', b'"x"']


def damaged(content: bytes, random: Random) -> bytes:
    """A few bytes changed, taken out, put in or repeated, or a key that became another."""
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(content) + 1)
        kind = random.randrange(4)
        if kind == 0:
            content = content[:at] + content[at + random.randint(1, 30):]
        elif kind == 1:
            content = content[:at] + random.choice([*PIECES, bytes([random.randrange(256)])]) + content[at:]
        elif kind == 2:
            content = content[:at] + content[random.randrange(len(content) + 1):][:random.randint(1, 60)] + content[at:]
        else:
            content = content.replace(random.choice(KEYS), random.choice(KEYS), 1)
    if random.random() < 0.1:
        packed = bytearray(gzip.compress(content))
        packed[random.randrange(len(packed))] ^= 1 << random.randrange(8)
        content = bytes(packed)
    return content


@pytest.mark.parametrize("files", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_files(tmp_path: Path, files: int) -> None:
    """Whatever is wrong with a file, it is read or refused in one line."""
    random = Random(files)
    examples = [*((text, True) for text in EXAMPLES.values()), *((text, False) for text in REFERENCE_EXAMPLES.values())]
    for _ in range(files):
        text, predicted = random.choice(examples)
        (tmp_path / "file").write_bytes(damaged(text.encode(), random))
        try:
            read_inputs(*((tmp_path / "file", REFERENCES) if predicted else (OWN, tmp_path / "file")), [])
        except UserError as error:
            assert "\n" not in str(error)
