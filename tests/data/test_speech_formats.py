"""The forms in which recognisers and YouTube write speech, each as they write it, with made-up words."""

import json
import pickle
import re

import pytest

from hicm.config import DataConfig
from hicm.data.features import write_features
from hicm.data.samples import open_samples
from hicm.data.speech import Speech, open_speech
from hicm.errors import UserError
from hicm.files import write_json

A = "aaaaaaaaaaa"
TWO = Speech((0.5, 3.0), (2.5, 6.25), ("boil the water", "add salt"))
TIMES = list(zip(TWO.start, TWO.end, TWO.text, strict=True))

WHISPER = {"text": " boil the water add salt", "language": "en", "segments": [
    {"id": i, "seek": 0, "start": start, "end": end, "text": f" {text}", "tokens": [1], "temperature": 0.0,
     "avg_logprob": -0.2, "words": [{"word": " x", "start": start, "end": end, "probability": 0.9}]}
    for i, (start, end, text) in enumerate(TIMES)]}
WHISPERX = {"segments": [{"start": start, "end": end, "text": f" {text}", "speaker": "SPEAKER_00",
                          "words": [{"word": "x", "start": start}, {"word": "1"}]} for start, end, text in TIMES],
            "word_segments": [{"word": "boil", "start": 0.5, "end": 1.0, "score": 0.9}], "language": "en"}
FASTER = [{"id": i + 1, "seek": 0, "start": start, "end": end, "text": f" {text}", "words": None}
          for i, (start, end, text) in enumerate(TIMES)]
TRANSFORMERS = {"text": " boil the water add salt", "chunks": [
    {"timestamp": [start, end], "text": f" {text}"} for start, end, text in TIMES]}
WHISPER_CPP = {"systeminfo": "x", "transcription": [
    {"timestamps": {"from": "00:00:00,500"}, "offsets": {"from": int(1000 * start), "to": int(1000 * end)},
     "text": f" {text}"} for start, end, text in TIMES]}
JSON3 = {"wireMagic": "pb3", "events": [{"tStartMs": 0, "dDurationMs": 9000, "id": 1, "wpWinPosId": 1}, *(
    {"tStartMs": int(1000 * start), "dDurationMs": int(1000 * (end - start)),
     "segs": [{"utf8": text[:4]}, {"utf8": text[4:], "tOffsetMs": 200}]} for start, end, text in TIMES),
    {"tStartMs": 3000, "dDurationMs": 10, "aAppend": 1, "segs": [{"utf8": "\n"}]}]}
TRANSCRIPT_API = [{"text": text, "start": start, "duration": end - start} for start, end, text in TIMES]
FORMS = {"whisper": WHISPER, "whisperx": WHISPERX, "faster-whisper": FASTER, "transformers": TRANSFORMERS,
         "whisper.cpp": WHISPER_CPP, "json3": JSON3, "youtube-transcript-api": TRANSCRIPT_API}


def stripped(speech: Speech) -> Speech:
    return Speech(speech.start, speech.end, tuple(text.strip() for text in speech.text))


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("where", ["folder", "one file", "pickle"])
def test_every_form_is_read(tmp_path, name, where):
    entry = FORMS[name]
    if where == "folder":
        path = write_json(tmp_path / "asr" / f"{A}.json", entry).parent
    elif where == "one file":
        path = write_json(tmp_path / "asr.json", {A: entry, "other": entry})
    else:
        (path := tmp_path / "asr.pkl").write_bytes(pickle.dumps({A: entry}))
    store = open_speech(path)
    assert stripped(store.get(f"v_{A}", 10.0)) == TWO
    assert store.get("missing", 10.0) == Speech() and A in set(store.keys())


@pytest.mark.parametrize("silent", [{"text": "", "segments": [], "language": "en"}, [], {"text": "", "chunks": []},
                                    {"transcription": []}, {"events": []}, {"start": [], "end": [], "text": []}])
def test_nobody_speaks(tmp_path, silent):
    store = open_speech(write_json(tmp_path / "asr" / f"{A}.json", silent).parent)
    assert A in store and store.get(A, 10.0) == Speech()


def test_a_chunk_without_an_end(tmp_path):
    """Transformers leaves out the end where the recogniser was cut off."""
    chunks = [{"timestamp": [0.0, None], "text": "a"}, {"timestamp": [4.0, 5.0], "text": "b"},
              {"timestamp": [7.0, None], "text": "c"}]
    store = open_speech(write_json(tmp_path / "asr.json", {A: {"text": "abc", "chunks": chunks}}))
    assert store.get(A, 9.0) == Speech((0.0, 4.0, 7.0), (4.0, 5.0, 9.0), ("a", "b", "c"))
    assert store.get(A, float("nan")).text == ("a", "b"), "without a duration nobody knows where c ends"


def test_lines_of_json(tmp_path):
    lines = "\n".join(map(json.dumps, FASTER)) + "\n\n"
    (tmp_path / "asr").mkdir()
    (tmp_path / "asr" / f"{A}.jsonl").write_text(lines, encoding="utf-8-sig")
    assert stripped(open_speech(tmp_path / "asr").get(A, 10.0)) == TWO
    (tmp_path / "one.jsonl").write_text(lines)
    with pytest.raises(UserError, match=r"transcript of one video belongs in a folder, as <video id>\.jsonl"):
        open_speech(tmp_path / "one.jsonl")
    for key in ("video_id", "video", "id"):
        (tmp_path / "all.jsonl").write_text("\n".join(json.dumps(line | {key: A}) for line in FASTER))
        assert stripped(open_speech(tmp_path / "all.jsonl").get(A, 10.0)) == TWO
        (tmp_path / "all.jsonl").write_text("\n".join(json.dumps(WHISPER | {key: video}) for video in (A, "b")))
        assert stripped(open_speech(tmp_path / "all.jsonl").get(A, 10.0)) == TWO
    (tmp_path / "all.jsonl").write_text("\n".join(json.dumps(WHISPER | {"id": A}) for _ in range(2)))
    with pytest.raises(UserError, match=f"video {A} occurs twice"):
        open_speech(tmp_path / "all.jsonl")
    (tmp_path / "all.jsonl").write_text('{"id": "a", "start": [], "end": [], "text": []}\n{"id": \n')
    with pytest.raises(UserError, match=r"all.jsonl: line 2: not valid json"):
        open_speech(tmp_path / "all.jsonl")


SRT = """1
00:00:00,500 --> 00:00:02,500
boil <i>the</i>
{\\an8}water

2
00:00:03,000 --> 00:00:06,250 X1:100 X2:200
<font color="#ffffff">add salt</font>
"""
VTT = """WEBVTT - made up
Kind: captions

NOTE
nobody says
this

STYLE
::cue { color: red }

first
00:00.500 --> 00:02.500 align:start position:0%
<v Roger>boil the
<c.yellow>water</c></v>

NOTE one line

00:00:03.000 --> 00:00:06.250
<00:00:03.500>add &lrm;&#115;alt

"""


@pytest.mark.parametrize(("suffix", "text"), [
    (".srt", SRT), (".vtt", VTT),
    (".srt", SRT.replace("00:00:", "00:").replace(",", ".")),  # hours left out, full stops
    (".srt", SRT.replace("1\n00", "00").replace("2\n00", "00")),  # no counters
    (".srt", SRT.replace("\n\n", "\n")),  # no blank lines
    (".srt", SRT.replace("</i>\n", "</i>\n\n")),  # a blank line within a cue
    (".srt", SRT.replace("00:00:", "0:00:").replace(",500", ",5")),
    (".vtt", VTT.replace("WEBVTT - made up\nKind: captions\n\n", "")),
])
@pytest.mark.parametrize("change", [lambda text: text, lambda text: "\ufeff" + text,
                                    lambda text: text.replace("\n", "\r\n"), lambda text: text.rstrip()])
def test_subtitles(tmp_path, suffix, text, change):
    (tmp_path / f"{A}{suffix}").write_bytes(change(text).encode())
    found = open_speech(tmp_path).get(A, 10.0)
    assert Speech(found.start, found.end, tuple(text.replace("\u200e", "") for text in found.text)) == TWO


def test_numbers_and_brackets_that_are_said(tmp_path):
    (tmp_path / f"{A}.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\n12\n\n2\n00:00:03,000 --> 00:00:04,000\n"
                                       "a < b > c --> d & e\n\n3\n00:00:05,000 --> 00:00:06,000\n7\n")
    assert open_speech(tmp_path).get(A, 10.0).text == ("12", "a < b > c --> d & e", "7")


ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:02.389 align:start position:0%
 \nhello<00:00:00.160><c> and</c><00:00:00.320><c> welcome</c>

00:00:02.389 --> 00:00:02.399 align:start position:0%
hello and welcome
 \n
00:00:02.399 --> 00:00:04.309 align:start position:0%
hello and welcome
to<00:00:02.560><c> my</c><00:00:02.720><c> kitchen</c>

00:00:04.309 --> 00:00:04.319 align:start position:0%
to my kitchen
 \n
00:00:04.319 --> 00:00:06.000 align:start position:0%
to my kitchen
today<00:00:04.500><c> soup</c>
"""


def test_rolling_captions_are_read_once(tmp_path):
    """YouTube's automatic captions as yt-dlp writes them, and the same converted to .srt."""
    wanted = Speech((0.0, 2.399, 4.319), (2.389, 4.309, 6.0), ("hello and welcome", "to my kitchen", "today soup"))
    (tmp_path / "a.en.vtt").write_text(ROLLING)
    assert open_speech(tmp_path).get("a", 10.0) == wanted
    cues = [block.split("\n") for block in ROLLING.replace(" align:start position:0%", "").split("\n\n")[1:]]
    plain = "\n\n".join("\n".join([str(i), cue[0].replace(".", ","), *(line for line in cue[1:] if line.strip())])
                        for i, cue in enumerate(cues, start=1))
    (tmp_path / "b.srt").write_text(re.sub("<[^>]*>", "", plain))
    assert open_speech(tmp_path).get("b", 10.0) == wanted


def test_captions_that_overlap_end_when_the_next_starts(tmp_path):
    events = [{"tStartMs": 1000 * i, "dDurationMs": 2000, "segs": [{"utf8": f"word {i}"}]} for i in range(4)]
    write_json(tmp_path / "a.json3", {"wireMagic": "pb3", "events": events})
    assert open_speech(tmp_path).get("a", 10.0) == Speech((0, 1, 2, 3), (1, 2, 3, 5), tuple(
        f"word {i}" for i in range(4)))


def test_a_sentence_said_twice_stays(tmp_path):
    (tmp_path / "a.srt").write_text("".join(
        f"{i}\n00:00:0{i},000 --> 00:00:0{i},900\n{text}\n\n" for i, text in enumerate(("no", "no", "yes", "well"))))
    assert open_speech(tmp_path).get("a", 10.0).text == ("no", "no", "yes", "well")


@pytest.mark.parametrize("name", [f"{A}.json", f"{A}.en.json", f"{A}.en-orig.json", f"{A}.zh-Hans.json",
                                  f"{A}.mp4.json", f"{A}.wav.json", f"v_{A}.JSON"])
def test_names_of_files(tmp_path, name):
    write_json(tmp_path / name, WHISPER)
    (tmp_path / "notes.txt").touch()
    store = open_speech(tmp_path)
    assert A in store and stripped(store.get(A, 10.0)) == TWO


def test_of_several_files_of_a_video(tmp_path):
    """Whisper writes all its formats side by side; two languages are a question."""
    for suffix in (".srt", ".vtt", ".json", ".txt", ".tsv"):
        (tmp_path / f"{A}{suffix}").write_text(json.dumps(WHISPER) if suffix == ".json" else "nothing to read")
    (tmp_path / f"{A}.de.json").write_text("{}")
    assert stripped(open_speech(tmp_path).get(A, 10.0)) == TWO
    for language in ("en", "de"):
        (tmp_path / f"b.{language}.vtt").write_text(VTT)
    with pytest.raises(UserError, match=r"video b: several transcripts \(b.de.vtt, b.en.vtt\); keep one"):
        open_speech(tmp_path).get("b", 10.0)


@pytest.mark.parametrize(("name", "content", "match"), [
    ("a.srt", "boil the water", "found no line of times"),
    ("a.srt", "1\n00:00:01,000 --> 00:xx\nboil\n", "a.srt: line 2: expected hours:minutes"),
    ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nboil\n\n0:0a --> 0:03\nx", "a.vtt: line 6: expected hours:minutes"),
    ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n", "not UTF-8 text"),
    ("a.vtt", "<!DOCTYPE html><html>login", "found a web page"),
    ("a.json", "version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "found a Git LFS pointer"),
    ("a.pkl", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "found a Git LFS pointer"),
    ("a.json", '{"text": "hi", "text": "ho"}', "text occurs twice"),
    ("a.json", '{"words": []}', r"video a: expected \{chunks.* found dict with words"),
    ("a.json", '{"chunks": [{"timestamp": 3, "text": "a"}]}', "video a: chunks: expected a list of {timestamp"),
    ("a.json", '{"chunks": [{"timestamp": [null, 3], "text": "a"}]}', "video a: segment 0: expected start and end"),
    ("a.json", '{"events": [{"segs": [{"utf8": "a"}]}]}', r"events\[0\]: expected tStartMs"),
    ("a.json", '{"events": [3]}', r"events\[0\]: expected {tStartMs"),
    ("a.json", '{"transcription": [{"text": "a"}]}', r"transcription\[0\]: expected offsets"),
    ("a.json", '[{"start": 1, "text": "a"}]', "video a: segment 0: expected start and end"),
    ("a.json", "7", r"video a: expected \{chunks.* found int"),
])
def test_what_cannot_be_read_is_one_line(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=match) as refusal:
        open_speech(tmp_path).get("a", 10.0)
    assert str(refusal.value).startswith(str(tmp_path / name))


def test_a_subtitle_file_is_of_one_video(tmp_path):
    (tmp_path / "all.srt").write_text(SRT)
    with pytest.raises(UserError, match=r"all.srt: .*belongs in a folder, as <video id>.srt"):
        open_speech(tmp_path / "all.srt")


def test_broken_characters_are_mended_and_counted(tmp_path):
    entry = {"start": [0, 1, 2], "end": [1, 2, 3], "text": ["a\0b", "half \ud83d", "fine"]}
    (tmp_path / "asr.json").write_text(json.dumps({A: entry}))
    store = open_speech(tmp_path / "asr.json")
    for _ in range(2):  # each segment counts once, however often it is read
        assert store.get(A, 10.0).text == ("a b", "half  ", "fine") and store.mended == 2


@pytest.mark.parametrize(("ids", "match"), [
    ([f"{A}.MP4"], f"{A}.MP4 may be {A} .a file ending."), ([7], "ids there are of type int, expected text"),
    (["x"], f"asr.pkl has x, the annotations have {A}"), ([], "asr.pkl holds no video at all")])
def test_speech_of_other_videos(tmp_path, ids, match):
    entry = {"duration": 3, "timestamps": [[0, 1]], "sentences": ["stir it"]}
    file = str(write_json(tmp_path / "train.json", {A: entry}))
    (tmp_path / "asr.pkl").write_bytes(pickle.dumps(dict.fromkeys(ids, WHISPER)))
    features = write_features(tmp_path / "x.h5", {A: [[1.0]]})
    config = DataConfig(annotations={"train": [file], "val": [file]}, features=str(features),
                        speech=str(tmp_path / "asr.pkl"))
    with pytest.raises(UserError, match=f"no video of split train has speech: .*{match}.*; data.speech= .empty."):
        open_samples(config, "train")
    with pytest.warns(UserWarning, match=f"no video of split val has speech: .*{match}"):
        assert len(open_samples(config, "val")) == 1
