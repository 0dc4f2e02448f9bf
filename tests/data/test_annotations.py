import json

import pytest

from hicm.config import DataConfig
from hicm.data.annotations import read_annotations, read_split
from hicm.errors import UserError
from hicm.types import Event, Span, Video

GOOD = {"duration": 12.5, "timestamps": [[0, 3], [3.5, 12.5]], "sentences": ["boil water", "add rice"]}


@pytest.fixture
def write(tmp_path):
    def write(content, name="train.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path
    return write


def test_reads_records_in_file_order(write):
    silent = {"duration": 4, "timestamps": [], "sentences": [], "path": "x"}
    videos = read_annotations(write({"zz": GOOD, "aa": silent}))
    assert list(videos) == ["zz", "aa"]
    assert videos["zz"] == Video("zz", 12.5, (Event(Span(0.0, 3.0), "boil water"), Event(Span(3.5, 12.5), "add rice")))
    assert videos["aa"] == Video("aa", 4.0, ())


def test_what_published_files_contain_is_read(write):
    odd = {"duration": 5, "timestamps": [[4, 9], [3, 1], [-1, 2]], "sentences": ["", "b", "c"]}
    assert [event.span for event in read_annotations(write({"a": odd}))["a"].events] == [
        Span(4, 9), Span(3, 1), Span(-1, 2)]


@pytest.mark.parametrize(("change", "match"), [
    ({"duration": 0}, "video a: duration: expected seconds > 0, found 0"),
    ({"duration": float("nan")}, "duration"),
    ({"duration": True}, "duration"),
    ({"duration": "12"}, "duration"),
    ({"duration": 10**400}, "duration"),
    ({"timestamps": [[0, 3]]}, "video a: expected as many timestamps as sentences, found 1 and 2"),
    ({"timestamps": [[0, 3], [4]]}, r"timestamps\[1\]: expected \[start, end\]"),
    ({"timestamps": [[0, 3], [4, float("inf")]]}, r"timestamps\[1\]"),
    ({"timestamps": [[0, 3], [4, "5"]]}, r"timestamps\[1\]"),
    ({"timestamps": [[0, 3], None]}, r"timestamps\[1\]"),
    ({"timestamps": {"0": 3}}, "timestamps: expected a list, found an object"),
    ({"sentences": ["boil water", 3]}, r"sentences\[1\]: expected text, found a number"),
    ({"sentences": "boil water"}, "sentences: expected a list, found text"),
])
def test_malformed_entry_names_file_video_and_item(write, change, match):
    path = write({"a": GOOD | change})
    with pytest.raises(UserError, match=match) as refusal:
        read_annotations(path)
    assert str(refusal.value).startswith(f"{path}: video a: ")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("key", list(GOOD))
def test_missing_key_is_named(write, key):
    with pytest.raises(UserError, match=f"video a: {key} is missing"):
        read_annotations(write({"a": {name: value for name, value in GOOD.items() if name != key}}))


@pytest.mark.parametrize(("content", "match"), [
    ("{}", "at least one video, found nothing in it"),
    ("[1]", "found a list"),
    ('{"a": [1]}', "video a: expected"),
    ('{"a": {"duration": 3', "not valid json"),
    ("", "not valid json"),
    ('{"a": {"duration": 3, "duration": 4}}', "duration occurs twice in one object; keep one"),
    ('{"a": {}, "b": {}, "a": {}}', "train.json: annotation file cannot be parsed .a occurs twice"),
    ('{"a": ' + 5000 * "9" + "}", "cannot be parsed"),
    (100_000 * "[", "cannot be parsed"),
])
def test_malformed_file(write, content, match):
    with pytest.raises(UserError, match=match):
        read_annotations(write(content))


def test_not_utf8_and_missing(tmp_path):
    path = tmp_path / "latin.json"
    path.write_bytes('{"a": "é"}'.encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8"):
        read_annotations(path)
    with pytest.raises(UserError, match="annotation file not found; put the data where"):
        read_annotations(tmp_path / "none.json")


def test_split_is_its_first_file(write):
    config = DataConfig(annotations={"train": [], "val": [str(write({"a": GOOD})), "second.json"]})
    assert list(read_split(config, "val")) == ["a"]
    for split in ("test", "train"):
        with pytest.raises(UserError, match=f"'{split}'; known splits: val"):
            read_split(config, split)
    with pytest.raises(UserError, match="known splits: none"):
        read_split(DataConfig(), "train")


@pytest.mark.parametrize(("name", "videos", "captions", "past_end"), [
    # facts.md 3.1 and hicm2.md 5.1, measured on the published files
    ("yc2/train", 1333, 10337, 0),
    ("yc2/val", 457, 3492, 0),  # 7.64 events a video
    ("anet/train", 10009, 37421, 261),
    ("anet/val_1", 4917, 17505, 134),
    ("anet/val_2", 4885, 17031, 111),
])
def test_published_counts(shared, name, videos, captions, past_end):
    read = read_annotations(shared / "data" / f"{name}.json")
    assert len(read) == videos
    events = [(event, video) for video in read.values() for event in video.events]
    assert len(events) == captions
    assert sum(event.span.end > video.duration for event, video in events) == past_end
