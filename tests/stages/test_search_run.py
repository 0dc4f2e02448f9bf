"""hicm search with trained runs: moments by one, captions of what is found by another."""

import shutil

import h5py
import numpy as np
import pytest
import yaml

from hicm import verbs
from hicm.data.features import open_features
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import read_json
from hicm.progress import no_progress
from hicm.recipes.demo.film import write_film
from hicm.stages.searchers import UNKNOWN, RunSearcher
from hicm.stages.video_captioner import VideoCaptioner
from hicm.types import Span
from hicm.video.features import VideoFeatures
from tests.tiny import WIDTH, make_tiny

BLOCKS = f"blocks:{WIDTH}"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, data__frames=0, train__epochs=1, train__select_on="mAP")


@pytest.fixture(scope="module")
def run(tiny):
    """A run of the system moments."""
    return verbs.train(str(tiny), out=str(tiny.parent / "moments"), set_=["system=moments"])


@pytest.fixture(scope="module")
def captioner(tiny):
    """A run of the recall system, which quotes the memory."""
    return verbs.train(str(tiny), out=str(tiny.parent / "recall"), set_=["system=recall", "train.select_on=CIDEr"])


@pytest.fixture(scope="module")
def film(tiny):
    """A video of the split val, and its annotation."""
    video, entry = next(iter(read_json(tiny.parent / "data" / "val.json").items()))
    rows = open_features(tiny.parent / "data" / "features.h5", 1.0).read(video)
    return write_film(tiny.parent / "films" / f"{video}.mp4", rows), rows, entry


@pytest.fixture
def searcher(run, tmp_path):
    def make(**options):
        return RunSearcher(str(run), **{"encoder": BLOCKS, "cache": tmp_path, "overlap": 0.5} | options)

    return make


def features(rows):
    return VideoFeatures(rows.astype(np.float16), np.arange(len(rows)), 1.0, float(len(rows)))


def test_what_is_found_is_what_the_run_predicts(run, film, searcher):
    path, rows, entry = film
    [first, *_] = read_json(verbs.predict(str(run)))["results"][path.stem]
    found = searcher(window=1000.0).windows(features(rows), entry["sentences"][0], no_progress)
    assert first["query"] == entry["sentences"][0]
    np.testing.assert_allclose(found, first["windows"], atol=2e-3)


def test_a_long_video_is_searched_in_windows(film, searcher):
    """Two showings of one film: the last window sees the second as the first window sees the first."""
    _, rows, entry = film
    length = len(rows) - len(rows) % 2
    twice = features(np.concatenate([rows[:length], rows[:length]]))
    found = searcher(window=float(length)).windows(twice, entry["sentences"][0], no_progress)
    alone = searcher(window=float(length)).windows(features(rows[:length]), entry["sentences"][0], no_progress)
    assert len(found) == 3 * len(alone)
    np.testing.assert_allclose(found[:len(alone)], alone, atol=1e-4)
    np.testing.assert_allclose(found[-len(alone):], alone + np.array([length, length, 0]), atol=1e-4)


def test_a_video_file(run, film, tmp_path):
    path, rows, entry = film
    found = verbs.search([str(path)], entry["sentences"][0], model=str(run), encoder=BLOCKS, window=20.0,
                         out=str(tmp_path / "out"), cache=str(tmp_path / "cache"))
    windows = np.array(found.content["results"][path.stem][0]["windows"])
    assert windows.shape[1] == 3 and len(windows) <= 10 and (np.diff(windows[:, 2]) <= 0).all()
    assert windows[:, :2].min() >= 0 and windows[:, 1].max() <= len(rows) + 0.01
    assert found.content["how"] == f"by the run {run}"
    assert found.content["decided_by"]["settings"]["window"] == 20.0
    again = verbs.search([str(path)], entry["sentences"][0], model=str(run), encoder=BLOCKS, window=20.0,
                         out=str(tmp_path / "out"), cache=str(tmp_path / "cache"))
    assert again.content == found.content
    with pytest.raises(UserError, match=r"window is 20\.0 there"):
        verbs.search([str(path)], entry["sentences"][0], model=str(run), encoder=BLOCKS, window=30.0,
                     out=str(tmp_path / "out"), cache=str(tmp_path / "cache"))


def test_how_much_is_searched_at_once(tiny, run, searcher):
    lengths = [entry["duration"] for entry in read_json(tiny.parent / "data" / "train.json").values()]
    assert searcher().window == pytest.approx(np.percentile(lengths, 95))
    assert searcher(window=33.0).window == 33.0
    assert searcher(overrides=["data.longest=44"]).window == 44
    with pytest.warns(UserWarning, match="150 seconds at once"):
        assert searcher(overrides=["data.annotations={train: [gone.json]}"]).window == UNKNOWN


def test_no_more_is_searched_at_once_than_the_run_reads(run, tmp_path):
    """Of a run that cuts off the rows beyond `data.frames`."""
    short = shutil.copytree(run, tmp_path / "short")
    settings = yaml.safe_load((short / "config.yaml").read_text())
    settings["data"]["frames"], settings["moments"]["surplus"] = 10, "cut"
    (short / "config.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(UserError, match="--window 30: the run reads at most 10 seconds of a video"):
        RunSearcher(str(short), BLOCKS, tmp_path, 0.5, window=30.0)
    assert RunSearcher(str(short), BLOCKS, tmp_path, 0.5).window == 10.0


@pytest.mark.parametrize("settings, step", [([], 1.0), (["data.feature_fps=2"], 1.0), (["data.feature_fps=0.5"], 2.0),
                                            (["data.feature_fps=2", "data.feature_rows=all"], 0.5),
                                            (["data.feature_fps=4", "data.feature_rows=spread"], 0.25)])
def test_there_are_as_many_rows_per_second_as_in_training(searcher, settings, step):
    assert searcher(overrides=settings).step == step


def test_frames_are_embedded_like_those_of_the_training(tiny, run, searcher):
    file = tiny.parent / "clip.h5"
    with h5py.File(file, "w") as store:
        store.create_dataset("v", data=np.zeros((3, WIDTH))).attrs["encoder"] = f"hashing:{WIDTH}"
    ours = [f"data.features={file}"]
    assert searcher(encoder="", overrides=ours).encoder.name == f"hashing:{WIDTH}"
    with h5py.File(file, "a") as store:
        store["v"].attrs["encoder"] = "hashing:30"
    with pytest.warns(UserWarning, match=f"embedded with hashing:{WIDTH}, those of the training with hashing:30"):
        searcher(encoder=f"hashing:{WIDTH}", overrides=ours)
    with pytest.raises(UserError, match=f"hashing:30: features are 30 wide, the model reads {WIDTH}"):
        searcher(encoder="", overrides=ours)


def test_captions_of_what_is_found(run, captioner, film, tmp_path):
    path = film[0]
    given = {"model": str(run), "encoder": BLOCKS, "out": str(tmp_path / "out"), "cache": str(tmp_path / "cache")}
    found = verbs.search([str(path)], "stir", caption=str(captioner), caption_encoder=BLOCKS, speech="none", **given)
    captions = [one["caption"] for one in found.content["moments"]]
    assert captions and all(captions) and all(one in str(found) for one in captions)
    assert all(one.replace("'", "&#x27;") in found.page.read_text() for one in captions)
    with pytest.raises(UserError, match=r"captioner is not read here|captioner is '.*' there and the default here"):
        verbs.search([str(path)], "stir", **given)
    with pytest.raises(UserError, match="moments"):
        verbs.search([str(path)], "stir", caption=str(run), **given)


def test_a_moment_is_captioned_with_what_is_around_it(captioner, film, tmp_path):
    path, _, entry = film
    spans = [Span(*pair) for pair in entry["timestamps"]]
    found = VideoCaptioner(str(captioner), encoder=BLOCKS, speech="none", cache=tmp_path)
    words = found.caption_moments(path, spans)
    assert len(words) == len(spans) and set(words) <= set(found.system.captions.texts)
    assert found.caption_moments(path, spans[::-1]) == words[::-1]
    short = VideoCaptioner(str(captioner), encoder=BLOCKS, speech="none", cache=tmp_path, window=15.0)
    assert short.caption_moments(path, spans) == words, "recall looks at the moment alone"


@pytest.mark.parametrize("given, message", [
    ({"model": "nowhere"}, "give a folder that 'hicm train' wrote"),
    ({"overrides": ["moments.width=64"]}, "moments.width=64: training decided this setting"),
    ({"encoder": "hashing:30"}, f"features are 30 wide, the model reads {WIDTH}.*--encoder"),
])
def test_errors(run, tmp_path, given, message):
    with pytest.raises(UserError, match=message):
        RunSearcher(**{"model": str(run), "encoder": BLOCKS, "cache": tmp_path, "overlap": 0.5} | given)


def test_runs_that_cannot_search(tiny, captioner, run, tmp_path):
    with pytest.raises(UserError, match="the system recall describes videos and takes no question"):
        RunSearcher(str(captioner), BLOCKS, tmp_path, 0.5)
    with pytest.raises(UserError, match=r"trained on several kinds of features .*1 of data\.streams"):
        RunSearcher(str(run), BLOCKS, tmp_path, 0.5, overrides=["data.streams=[slowfast.h5]"])


def test_an_encoder_that_embeds_sentences_tells_videos_apart(run, film, tmp_path, monkeypatch):
    video, _, entry = film
    monkeypatch.setattr("hicm.stages.searchers._text_side", lambda encoder, offline: make_encoder(f"hashing:{WIDTH}"))
    found = verbs.search([str(video)], entry["sentences"][0], model=str(run), encoder=BLOCKS,
                         cache=str(tmp_path / "cache"), out=str(tmp_path / "out"))
    assert "score times cosine" in str(found) and "cosine" in str(found).splitlines()[1]
    assert all(-1 <= one["cosine"] <= 1 for one in found.content["moments"])
    assert ", cosine " in found.page.read_text()
