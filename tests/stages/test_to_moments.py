"""hicm data to-moments: dense captions become queries that the readers and the evaluator of moments take."""

import json
from pathlib import Path

import pytest

from hicm import verbs
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.moments.read import read_annotations

EVENTS = {
    "v_a": {"duration": 30.0, "timestamps": [[20, 25], [1, 5], [3, 9], [40, 50], [9, 7], [28, 33], [1, 5], [0, 1]],
            "sentences": [" stir ", "stir", "chop", "eat", "pour", "serve", "stir", "  "]},
    "v_b": {"duration": 9.5, "timestamps": [[0, 9.5]], "sentences": ["stir"]},
}


def write(path: Path, content: object) -> str:
    write_json(path, content)
    return str(path)


def test_each_sentence_is_a_query_and_times_are_cleaned(tmp_path):
    said = verbs.data_to_moments([write(tmp_path / "a.json", EVENTS)], out=str(tmp_path / "m.jsonl"))
    rows = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text().splitlines()]
    assert rows == [
        {"qid": 1, "query": "stir", "vid": "v_a", "duration": 30.0, "relevant_windows": [[1.0, 5.0], [20.0, 25.0]]},
        {"qid": 2, "query": "chop", "vid": "v_a", "duration": 30.0, "relevant_windows": [[3.0, 9.0]]},
        {"qid": 3, "query": "pour", "vid": "v_a", "duration": 30.0, "relevant_windows": [[7.0, 9.0]]},
        {"qid": 4, "query": "serve", "vid": "v_a", "duration": 30.0, "relevant_windows": [[28.0, 30.0]]},
        {"qid": 5, "query": "stir", "vid": "v_b", "duration": 9.5, "relevant_windows": [[0.0, 9.5]]}]
    counted = {line.strip() for line in said.splitlines()[:-1]}
    assert counted == {"2 videos", "5 queries", "6 windows", "1 events without text left out",
                       "1 events that occur twice", "1 events left out (start after the end of the video)",
                       "1 spans with start and end exchanged", "1 ends cut to the end of the video"}
    about = read_json(tmp_path / "m.jsonl.about.json")
    assert about["inputs"][0]["file"] == "a.json" and about["counts"]["queries"] == 5


def test_several_annotators_are_several_sets_of_queries(tmp_path):
    files = [write(tmp_path / "first.json", EVENTS), write(tmp_path / "second.json", {"v_b": EVENTS["v_b"]})]
    verbs.data_to_moments(files, out=str(tmp_path / "m.jsonl"))
    queries = read_annotations(str(tmp_path / "m.jsonl"), []).queries
    assert [one.id for one in queries] == list("123456")
    assert [one.video for one in queries if one.text == "stir"] == ["v_a", "v_b", "v_b"]


def test_what_cannot_become_moments_is_refused(tmp_path):
    file = write(tmp_path / "a.json", EVENTS)
    with pytest.raises(UserError, match="is an input"):
        verbs.data_to_moments([file], out=file)
    out = str(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        verbs.data_to_moments([file], out=out)
    verbs.data_to_moments([file], out=out, overwrite=True)
    unknown = {"v_a": {"timestamps": [[1, 2]], "sentences": ["stir"]}}
    with pytest.raises(UserError, match="video v_a: no duration"):
        verbs.data_to_moments([write(tmp_path / "b.json", unknown)], out=out, overwrite=True)
    blank = {"v_a": {"duration": 3.0, "timestamps": [[1, 2]], "sentences": [" "]}}
    with pytest.raises(UserError, match="no sentence with a moment"):
        verbs.data_to_moments([write(tmp_path / "c.json", blank)], out=out, overwrite=True)


@pytest.mark.parametrize("name, queries, videos", [("yc2/val.json", 3488, 457), ("anet/val_1.json", 17503, 4917)])
def test_published_annotations(name, queries, videos, shared, tmp_path):
    """Every sentence of the file, but those that a video has twice, is a query; the true windows score 100."""
    file = shared / "data" / name
    if not file.exists():
        pytest.skip(f"{file} is not there")
    verbs.data_to_moments([str(file)], out=str(tmp_path / "m.jsonl"))
    found = read_annotations(str(tmp_path / "m.jsonl"), []).queries
    sentences = [(video, one.strip()) for video, entry in read_json(file).items() for one in entry["sentences"]]
    assert len(found) == len(set(sentences)) == queries
    assert len({one.video for one in found}) == videos
    with open(tmp_path / "true.jsonl", "w") as stream:
        for one in found:
            stream.write(json.dumps({"qid": one.id, "pred_relevant_windows": [
                [*window, 1.0] for window in one.windows.tolist()]}) + "\n")
    [result] = verbs.moments_evaluate(str(tmp_path / "true.jsonl"), [str(tmp_path / "m.jsonl")]).results
    assert result.scores["R1@0.7"] == pytest.approx(1.0) and result.scores["mAP"] > 0.999


def test_moments_need_no_conversion(tmp_path):
    """They are no dense captions, and are named in none of the messages about those."""
    (tmp_path / "sta.txt").write_text("AAAAA 1.0 4.5##someone opens a door.\n")
    cd = write(tmp_path / "cd.json", {"AAAAA": {"timestamps": [[1, 4]], "sentences": ["a"], "video_duration": 9.5}})
    for file in (tmp_path / "sta.txt", cd):
        with pytest.raises(UserError, match=f"{file}: holds no dense captions but moments, which need no conversion"):
            verbs.data_to_moments([str(file)], out=str(tmp_path / "m.jsonl"))
