"""A memory built from annotations of moments: whose captions it holds decides what training may recall."""

import json

import pytest

from hicm.config import DataConfig
from hicm.memory.captions import read_captions

TABLE = ("id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
         "AAAAA,X,Kitchen,6,7,Yes,s,o,d,a,30.5\nBBBBB,X,Kitchen,6,7,Yes,s,o,d,a,20.0\n")


@pytest.fixture
def data(tmp_path) -> DataConfig:
    (tmp_path / "sta.txt").write_text("AAAAA 0.0 5.0##a person sits.\nBBBBB 40.0 50.0##too late.\n"
                                      "BBBBB 1.0 4.0##a person eats.\nAAAAA 6.0 9.0##a person stands.\n")
    (tmp_path / "table.csv").write_text(TABLE)
    row = {"qid": 1, "query": "a dog barks", "vid": "one_0_30", "duration": 30, "relevant_clip_ids": [0, 4],
           "saliency_scores": [[1, 1, 1], [1, 1, 1]], "relevant_windows": [[0, 2], [8, 10]]}
    (tmp_path / "qvhighlights.jsonl").write_text(json.dumps(row) + "\n")
    return DataConfig(annotations={"train": [str(tmp_path / "sta.txt"), str(tmp_path / "table.csv")],
                                   "highlights": [str(tmp_path / "qvhighlights.jsonl")]})


@pytest.mark.filterwarnings("ignore:.*skipped")
def test_a_split_of_charades(data):
    found = read_captions(data, ["train"])
    assert found.texts == ("a person sits.", "a person stands.", "a person eats.")
    assert found.videos == ("AAAAA", "AAAAA", "BBBBB") and found.sentences.tolist() == [0, 1, 0]


def test_the_file_by_its_name(data):
    """Without durations nothing is known to be too late; lines are no captions."""
    found = read_captions(data, [data.annotations["train"][0]])
    assert set(found.videos) == {"AAAAA", "BBBBB"} and "too late." in found.texts


def test_a_query_with_several_moments_is_one_caption(data):
    for source in ("highlights", data.annotations["highlights"][0]):
        found = read_captions(data, [source])
        assert (found.texts, found.videos) == (("a dog barks",), ("one_0_30",))


def test_lines_of_captions_are_of_no_video(tmp_path):
    (tmp_path / "more.txt").write_text("cut the bread\n\nfry an egg\n")
    found = read_captions(DataConfig(), [str(tmp_path / "more.txt")])
    assert found.texts == ("cut the bread", "fry an egg") and set(found.videos) == {"more.txt"}
