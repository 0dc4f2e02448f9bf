"""What the check counts beyond mistakes: what the captioner does not get, what features hold, what does not fit."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pytest

from hicm.clock import Clock
from hicm.config import Config, DataConfig
from hicm.data.features import write_features
from hicm.data.findings import Look, of_features
from hicm.data.samples import open_samples
from hicm.data.speech import open_speech, store
from hicm.files import write_json
from hicm.memory.bank import Bank, Leaves, Level, save_bank
from hicm.stages.check import check_data
from hicm.stages.look import warn_of_findings
from hicm.stages.origins import training_samples
from hicm.systems.captioner import prepare
from hicm.systems.captioner.findings import findings
from hicm.systems.captioner.prepare import open_vocabulary
from hicm.systems.captioner.sequences import caption_sequence, speech_sequence
from hicm.systems.captioner.settings import DecodeSettings, Settings
from hicm.types import Event, Span, Video

LONG = {"duration": 3600.0, "timestamps": [[40, 50], [400, 410], [1000, 1300]],
        "sentences": ["he writes on the board", "she talks", "they leave the room"]}
SHORT = {"duration": 60.0, "timestamps": [[0, 10], [20, 20]], "sentences": ["a man sits", "it ends"]}
SMALL = Settings(t5="scratch", tokenizer="train", vocabulary=60, visual_heads=4, max_caption_tokens=30,
                 max_speech_tokens=20, decode=DecodeSettings(max_tokens=12))


@pytest.fixture
def config(tmp_path) -> Config:
    train = {"lecture": LONG, "sitting": SHORT}
    files = {"train": [str(write_json(tmp_path / "train.json", train))],
             "val": [str(write_json(tmp_path / "val.json", {"other": SHORT}))]}
    features = write_features(tmp_path / "x.h5", {
        "lecture": np.ones((3600, 8)), "sitting": np.ones((60, 8)), "other": np.ones((60, 8))})
    speech = {"lecture": {"start": [0.0, 9.0], "end": [5.0, 20.0], "text": ["we talk about the board " * 4, "good"]},
              "sitting": {"start": [0.0], "end": [5.0], "text": ["sit"]}, "other": {"start": [], "end": [], "text": []}}
    return Config(data=DataConfig(annotations=files, features=str(features),
                                  speech=str(write_json(tmp_path / "asr.json", speech))), room=SMALL)


def said(config, start="") -> list[str]:
    return [str(problem) for problem in check_data(config, deep=True).problems if start in str(problem)]


def test_events_of_one_time_bin(config):
    """With 100 bins a bin of an hour lasts 36.4 s: two of three events have no length; an event of 0 s is no case."""
    (line,) = said(config, "time bins")
    assert "train.json: 1 of 2 videos have events that begin and end in one of captioner.time_bins=100 time " in line
    assert "(2 of 5 events; in 0 videos all): lecture (2 of 3); " in line
    assert not said(dataclasses.replace(config, room=dataclasses.replace(SMALL, time_bins=1000)), "time bins")


def test_videos_whose_events_are_all_in_one_bin_come_first(tmp_path):
    def video(name, *spans):
        return Video(name, 3600.0, tuple(Event(Span(*span), "x") for span in spans))

    videos = [video("some", (0, 1), (0, 900), (5, 6)), video("all", (7, 8)), video("none", (0, 900))]
    (found, _) = findings(Config(room=Settings(tokenizer="/nowhere")), "train", videos, open_speech(""), None,
                         tmp_path)
    assert "(3 of 5 events; in 1 videos all)" in found.what and found.items == ("all (1 of 1)", "some (2 of 3)")


def test_tokens_beyond_the_limits(config, tmp_path):
    """The counts are those of the sequences that training makes."""
    vocabulary = open_vocabulary(config, tmp_path / "run", open_speech(config.data.speech))
    video = Video("lecture", 3600.0, tuple(Event(Span(*span), text) for span, text in zip(
        LONG["timestamps"], LONG["sentences"], strict=True)))
    whole = len(caption_sequence(video, vocabulary, 10**6)[0]) - 1
    cut = caption_sequence(video, vocabulary, 30)[1]
    heard = open_speech(config.data.speech).get("lecture", 3600.0)
    spoken, missed = len(speech_sequence(heard, 3600.0, vocabulary, 10**6)[0]) - 1, \
        speech_sequence(heard, 3600.0, vocabulary, 20)[1]
    assert cut > 0 and missed > 0
    lines = "\n".join(said(config, "train.json"))
    assert "1 of 2 videos have captions beyond captioner.max_caption_tokens=30" in lines
    assert f"lecture ({cut} of {whole} tokens)" in lines
    assert f"lecture ({whole - 12} of {whole} tokens)" in lines and "captioner.decode.max_tokens=12" in lines
    assert "1 of 2 videos have speech beyond captioner.max_speech_tokens=20" in lines
    assert f"lecture ({missed} of {spoken} tokens)" in lines
    assert not said(config, "val.json: 1 of 1 videos have captions beyond captioner.max_caption"), "nobody learns them"
    assert "speech beyond" not in "\n".join(said(dataclasses.replace(config, room=dataclasses.replace(
        SMALL, use_speech=False))))


def test_unknown_characters(config, tmp_path):
    strange = SHORT | {"sentences": ["a man {sits} ~", "\u4e2d\u4e2d it ends"]}
    write_json(tmp_path / "val.json", {"other": strange, "fine": SHORT})
    (line,) = said(config, "does not know")
    assert "val.json: 1 of 2 videos have captions with characters that the tokenizer does not know (" in line
    assert "\u4e2d 2" in line and "{ 1" in line and "~ 1" in line and ": other (" in line
    assert " a " not in line.partition("(")[2].partition(")")[0]


def test_without_a_tokenizer_the_counts_are_said_to_be_missing(config):
    report = check_data(dataclasses.replace(config, room=dataclasses.replace(SMALL, tokenizer="t5-made-up")), deep=True)
    (note,) = [note for note in report.notes if note.startswith("not counted: ")]
    assert "tokens beyond the limits, unknown characters (captioner.tokenizer: t5-made-up: no tokenizer found in the " \
           "local cache" in note
    assert report.ok and not [problem for problem in report.problems if "beyond" in str(problem)]
    assert [problem for problem in report.problems if "time bins" in str(problem)]


def test_rows_of_zeros(config, tmp_path):
    padded = np.ones((60, 8))
    padded[40:] = 0
    write_features(tmp_path / "x.h5", {"lecture": np.zeros((3600, 8)), "sitting": padded, "other": np.ones((60, 8))})
    lines = said(config, "train.json")
    assert any("1 of 2 videos have features that are all zero: lecture; " in line for line in lines)
    assert any("1 of 2 videos have rows of zeros among their features (0.55 % of all rows): sitting (20 of 60 rows)" in
               line for line in lines)


@pytest.mark.parametrize(("fps", "rows", "fits"), [
    (0.5, 42, True), (0.5, 84, False), (1.0, 84, True), (1.0, 42, False), (5.0, 84, True), (0.1, 9, True)])
def test_rows_and_duration(fps, rows, fits):
    """84 s; a store of more than one row per second is thinned to one, one of fewer is not filled up."""
    videos = {"a": Video("a", 84.0, ()), "unknown": Video("unknown", float("nan"), ())}
    found = [one for one in of_features(dict.fromkeys(videos, Look(rows, 8)), videos, Clock(fps)) if one]
    assert [one.items for one in found] == ([] if fits else [(f"a ({rows} rows, 84 s)",)])


def test_features_that_lie_on_their_side():
    (found,) = filter(None, of_features({"a": Look(768, 80)}, {"a": Video("a", 84.0, ())}, Clock()))
    assert "look like [width, seconds]" in found.what and found.items == ("a (768 rows of 80, 84 s)",)


def bank_of(width: int, folder) -> str:
    vectors, children = np.ones((1, width), np.float32), (np.zeros(1, np.int64),)
    leaves = Leaves(("stir",), vectors, ("lecture",), np.zeros(1, np.int64))
    save_bank(Bank((Level(("stir",), vectors, children, np.zeros(1, np.int64)),), leaves, {}), folder)
    return str(folder)


def test_widths_that_do_not_fit(config, tmp_path):
    def with_bank(width):
        path = bank_of(width, tmp_path / f"bank{width}")
        return dataclasses.replace(config, memory=dataclasses.replace(config.memory, path=path))

    assert check_data(with_bank(8)).ok
    (line,) = [str(problem) for problem in check_data(with_bank(16)).problems if problem.is_error]
    assert line.startswith(f"error: {config.data.features}: features are 8 wide and the memory bank 16 (")
    heads = dataclasses.replace(config, room=dataclasses.replace(SMALL, visual_heads=5))
    assert len(said(heads, "error: ")) == 2, "for both splits"
    assert "captioner.visual_heads=5 does not divide the width of the features, 8; choose" in said(heads, "error: ")[0]


def test_training_says_the_same_before_it_starts(config, tmp_path, monkeypatch):
    monkeypatch.setattr("hicm.stages.look.VIDEOS", 1)
    with pytest.warns(UserWarning, match=r"split train, 1 of 2 videos looked at: 1 of 1 videos have events that begin"):
        warn_of_findings(config, open_samples(config.data, "train"), tmp_path / "run")


def test_speech_is_parsed_and_a_tokenizer_trained_once(config, tmp_path, monkeypatch):
    """Both take long on large data, and both splits need them."""
    counts = Counter()

    def counted(name, real):
        def call(*given):
            counts[name] += 1
            return real(*given)

        return call

    for module, name in ((store, "_read"), (prepare, "train_vocabulary")):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    samples = training_samples(config, "val")
    open_vocabulary(config, tmp_path / "run", samples["train"].speech)
    assert counts == {"_read": 1, "train_vocabulary": 1}
    check_data(config, deep=True)
    assert counts == {"_read": 2, "train_vocabulary": 2}


def test_a_report_of_ids_that_match_nowhere(config, tmp_path):
    content = json.loads((tmp_path / "train.json").read_text())
    write_json(tmp_path / "train.json", {name.upper(): entry for name, entry in content.items()})
    report = check_data(config)
    errors = "\n".join(str(problem) for problem in report.problems if problem.is_error)
    for file in ("x.h5", "asr.json"):
        assert f"{file} has lecture, " in errors
    assert errors.count("lecture may be LECTURE (upper and lower case)") == 2 and not report.ok
