"""The made-up dataset: form, plausibility, determinism, and whether frames say what their captions say."""

import hashlib
import json
import re

import numpy as np
import pytest

from hicm.config import load_config
from hicm.data.annotations import read_annotations
from hicm.data.features import open_features
from hicm.data.speech import open_speech
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.recipes.demo.dataset import ID_LENGTH, make_dataset
from hicm.recipes.demo.grammar import ACTIVITIES, FILLERS, KINDS

COUNTS = {"train": 40, "val": 12}
SLOT = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    assert make_dataset(folder, COUNTS, width=64, seed=3) == folder / "demo.yaml"
    return folder


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
            if path.name != "demo.yaml"}


def test_same_seed_same_bytes_and_another_seed_another_world(demo, tmp_path):
    make_dataset(tmp_path / "again", COUNTS, width=64, seed=3)
    make_dataset(tmp_path / "other", COUNTS, width=64, seed=4)
    again, other = digests(tmp_path / "again"), digests(tmp_path / "other")
    assert again == digests(demo)
    assert all(again[name] != other[name] for name in again)


def test_a_video_does_not_depend_on_how_many_there_are(demo, tmp_path):
    make_dataset(tmp_path, {"train": 3, "val": 2}, width=64, seed=3)
    few, many = (json.loads((folder / "train.json").read_text()) for folder in (tmp_path, demo))
    assert list(few.items()) == list(many.items())[:3]
    video = next(iter(few))
    np.testing.assert_array_equal(open_features(tmp_path / "features.h5").read(video),
                                  open_features(demo / "features.h5").read(video))


def test_scripts_are_plausible(demo):
    for split, count in COUNTS.items():
        videos = read_annotations(demo / f"{split}.json")
        assert len(videos) == count
        for video in videos.values():
            assert len(video.id) == ID_LENGTH and video.id.rstrip("0123456789") in ACTIVITIES
            assert 60 <= video.duration <= 180 and 3 <= len(video.events) <= 7
            end = 0.0
            for event in video.events:
                assert end < event.span.start < event.span.end <= video.duration
                end = event.span.end
    assert not set(read_annotations(demo / "train.json")) & set(read_annotations(demo / "val.json"))


def test_features_are_unit_rows_one_a_second(demo):
    features = open_features(demo / "features.h5")
    for split in COUNTS:
        for video in read_annotations(demo / f"{split}.json").values():
            x = features.read(video.id)
            assert x.shape == (video.duration, 64)
            np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, atol=2e-3)  # float16


def test_frames_lie_nearest_to_training_captions_that_mean_the_same(demo):
    captions = sorted({event.text for video in read_annotations(demo / "train.json").values()
                       for event in video.events})
    embeddings = make_encoder("hashing:64").encode(captions)
    features = open_features(demo / "features.h5")
    kinds_of, found, chance = [kind_of(caption) for caption in captions], [], []
    for video in read_annotations(demo / "val.json").values():
        x = features.read(video.id)
        for event in video.events:
            scores = embeddings @ x[int(event.span.start) + 1:int(event.span.end)].mean(axis=0)
            own = kind_of(event.text)
            kinds = [kind & own for kind in kinds_of]
            found.append(bool(kinds[int(scores.argmax())]))
            chance.append(np.mean([bool(kind) for kind in kinds]))
    assert np.mean(found) > 0.6 > 0.1 > np.mean(chance)


def test_speech_helps_some_videos_and_never_gives_a_caption_away(demo):
    speech = open_speech(demo / "speech.json")
    videos = [video for split in COUNTS for video in read_annotations(demo / f"{split}.json").values()]
    captions = {event.text for video in videos for event in video.events}
    spoken = [speech.get(video.id, video.duration) for video in videos]
    assert 0.4 < np.mean([len(heard) > 0 for heard in spoken]) < 0.8
    for video, heard in zip(videos, spoken, strict=True):
        assert len(heard) == len(speech.all(video.id))  # every segment lies inside its video
        assert not captions & set(heard.text)


def test_settings_name_the_files(demo):
    config = load_config(demo / "demo.yaml")
    assert config.data.annotations == {split: [str(demo / f"{split}.json")] for split in COUNTS}
    assert (config.data.train, config.data.select, config.data.report) == ("train", "val", "val")
    assert config.memory.encoder == "hashing:64" and config.room.t5 == "scratch"


def test_three_splits_select_on_the_second_and_report_the_last(tmp_path):
    config = load_config(make_dataset(tmp_path, {"a": 1, "b": 1, "c": 1}, width=16))
    assert (config.data.train, config.data.select, config.data.report) == ("a", "b", "c")
    assert open_features(tmp_path / "features.h5").width == 16


@pytest.mark.parametrize("videos", [{"train": 2}, {"train": 0, "val": 1}, {"train": 1, "val": 10_000}])
def test_numbers_that_make_no_sense_are_refused(tmp_path, videos):
    with pytest.raises(UserError, match="demo: expected two splits or more"):
        make_dataset(tmp_path, videos)


def test_grammar_is_closed_and_its_vocabulary_small():
    words = {word for filler in FILLERS for word in filler.split()}
    for activity in ACTIVITIES.values():
        assert sum(probability > 0 for _, probability in activity.script) >= 3
        words.update(word for choices in activity.slots.values() for word in choices)
        for kind, _ in activity.script:
            for template in KINDS[kind].captions + KINDS[kind].speech:
                assert set(SLOT.findall(template)) <= set(activity.slots), (kind, template)
                words.update(SLOT.sub("", template).split())
    assert len(words) < 300
    assert {kind for activity in ACTIVITIES.values() for kind, _ in activity.script} == set(KINDS)
    assert {activity.place for activity in ACTIVITIES.values()} == {"kitchen", "workshop", "garden"}


def kind_of(caption):
    """Kinds that can say this caption."""
    return {name for name, kind in KINDS.items() for template in kind.captions
            if re.fullmatch(SLOT.sub(r"\\w+", template), caption)}
