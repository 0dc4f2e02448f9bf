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
    assert videos["aa"] == Video("aa", 4.0, (), first=3)


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


@pytest.mark.parametrize(("lack", "events"), [
    ({"sentences": None}, 0), ({"timestamps": None}, 0), ({"sentences": None, "timestamps": None}, 0),
    ({"sentences": []}, 0), ({"timestamps": []}, 0), ({"sentences": [], "timestamps": []}, 0), ({}, 2),
    ({"sentences": ["", " "]}, 2),
])
@pytest.mark.parametrize("absent", [True, False])
def test_captions_may_be_missing_where_none_are_needed(write, lack, events, absent):
    entry = {key: value for key, value in (GOOD | lack).items() if value is not None or not absent}
    assert len(read_annotations(write({"a": entry}), captions=False)["a"].events) == events


def test_what_is_needed_is_refused_even_without_captions(write):
    for entry, match in (({}, "duration is missing"), ({"duration": 0}, "duration: expected seconds"), ([], "found"),
                         (GOOD | {"sentences": ["a"]}, "as many timestamps"), (GOOD | {"sentences": [1, 2]}, "text")):
        with pytest.raises(UserError, match=match):
            read_annotations(write({"a": entry}), captions=False)


def test_broken_captions_are_mended_and_counted(write):
    texts = ["chop\x00it", "boil \ud83d", "fine \U0001f600", "bell\x07 and\ttab", "\udc00\ud800"]
    entry = {"duration": 9, "timestamps": [[0, 1]] * 5, "sentences": texts}
    path = write({"a": entry, "b": GOOD})
    mended: list[str] = []
    found = [event.text for event in read_annotations(path, mended=mended)["a"].events]
    assert found == ["chop it", "boil  ", "fine \U0001f600", "bell  and\ttab", "  "]
    assert mended == [f"a sentences[{i}]" for i in (0, 1, 3, 4)]
    with pytest.warns(UserWarning, match=r"train.json: 4 captions hold control .* \(the first: a sentences\[0\]\)"):
        read_annotations(path)


@pytest.mark.parametrize("video", ["a/b", "..", ".", "", " ", "a\0b", "a\nb", "\ud83d", 300 * "x", "/etc/passwd",
                                   "ä" * 150])
@pytest.mark.parametrize("captions", [True, False])
def test_an_id_that_cannot_name_a_file_is_refused(write, video, captions):
    path = write({video: GOOD})
    with pytest.raises(UserError, match=r"an id may not hold|cannot name a file") as refusal:
        read_annotations(path, captions)
    said = str(refusal.value)
    assert said.startswith(f"{path}: video ") and said.isascii() and len(said) < 400
    listing = path.with_name("train.csv")
    if not {"\n", "\ud83d"} & set(video) and video.strip():
        listing.write_text(f"video_id,video_path\n{video},x.npy\n", encoding="utf-8")
        with pytest.raises(UserError, match=r"train.csv: line 2: video .*(may not hold|cannot name)"):
            read_annotations(listing)


@pytest.mark.parametrize("video", ["v_-0zE4NDkuYo", "a b", "a..b", "x" * 200, "日本", "a.b"])
def test_other_ids_are_fine(write, video):
    assert list(read_annotations(write({video: GOOD}))) == [video]


def test_a_byte_order_mark_and_pointers(tmp_path, write):
    path = tmp_path / "bom.json"
    path.write_text(json.dumps({"a": GOOD}), encoding="utf-8-sig")
    assert list(read_annotations(path)) == ["a"]
    with pytest.raises(UserError, match="annotation file: found a Git LFS pointer"):
        read_annotations(write("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 3\n", "lfs.json"))
    with pytest.raises(UserError, match="list of videos: found a web page"):
        read_annotations(write("<!DOCTYPE html><p>video_id,video_path", "page.csv"))


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
