"""The room on features with other clocks: VGG's six rows a second, TACoS's C3D, clips of QVHighlights that are cut."""

import json

import numpy as np
import pytest

from hicm.config import load_config
from hicm.data.features import write_features
from hicm.data.samples import open_samples
from hicm.data.streams import normalise_rows, pool_rows
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.rooms import check_settings, room_findings
from hicm.stages.searchers import RunSearcher
from hicm.systems.base import find_system
from tests.rooms.conftest import hicm
from tests.systems.moments.test_moments_room import TINY
from tests.tiny import WIDTH


@pytest.fixture
def make(tmp_path):
    """Settings for one video of ``rows`` rows."""
    def make(annotations, video, rows, moments=None, **data):
        (tmp_path / "a.json").write_text(annotations)
        write_features(tmp_path / "f.h5", {video: np.random.default_rng(0).standard_normal((rows, WIDTH))})
        data |= {"name": "x", "annotations": {split: [str(tmp_path / "a.json")] for split in ("train", "val")},
                 "features": str(tmp_path / "f.h5")}
        write_json(tmp_path / "x.yaml", {"system": "moments", "data": data, "moments": TINY | (moments or {}),
                                         "train": {"epochs": 1, "batch": 2, "lr": 1e-3, "log_every": 1}})
        return tmp_path / "x.yaml"
    return make


def dense(duration, **moments):
    """Sentences with their moments, as dense captions of the video v."""
    return json.dumps({"v": {"duration": duration, "timestamps": list(moments.values()), "sentences": list(moments)}})


def only_batch(path):
    config = load_config(path)
    samples = open_samples(config.data, "train")
    system = find_system("moments").prepare(config, path.parent, samples)
    [batch] = system.batches([[(0, place) for place in range(system.size)]])
    return batch, samples[0].rows


def relevant(batch, row=0):
    return batch.relevant[row].nonzero().squeeze(1).tolist()


def test_all_rows_are_pooled(make):
    """As VGG features of Charades are published: all rows of a sixth of a second, and means of them."""
    video = dense(10.0, walks=[2.0, 4.4])
    every, rows = only_batch(make(video, "v", 60, feature_fps=6.0, feature_rows="all", frames=600))
    assert every.lengths.tolist() == [60] and relevant(every) == list(range(12, 27))
    pooled, rows = only_batch(make(video, "v", 60, feature_fps=6.0, feature_rows="all", frames=20))
    assert pooled.lengths.tolist() == [20] and relevant(pooled) == list(range(4, 9)), "rows of half a second"
    np.testing.assert_allclose(pooled.rows[0, :, :WIDTH], pool_rows(normalise_rows(rows), 20), rtol=1e-5)
    thinned, _ = only_batch(make(video, "v", 60, feature_fps=6.0, frames=20))
    assert thinned.lengths.tolist() == [10] and relevant(thinned) == [2, 3, 4]


@pytest.mark.parametrize(("rows", "seconds"), [("thinned", 1.0), ("all", 0.25)])
def test_video_files_are_searched_on_the_clock_of_the_training(make, tmp_path, rows, seconds):
    run = tmp_path / "run"
    assert hicm("train", make(dense(10.0, walks=[2.0, 4.4]), "v", 40, feature_fps=4.0, feature_rows=rows),
                "--out", run) == 0
    assert RunSearcher(str(run), f"blocks:{WIDTH}", tmp_path / "cache", 0.5).step == seconds


@pytest.mark.parametrize("frames", [0, 5])
def test_rows_of_tacos_share_the_duration(make, frames):
    """int(start / duration T) to int(end / duration T), whatever the frames that a row was made of."""
    content = {"s1-d1.avi": {"timestamps": [[60, 126]], "sentences": ["He cuts."], "fps": 30.0, "num_frames": 330}}
    path = make(json.dumps(content), "s1-d1", 9, feature_rows="spread", frames=frames)
    batch, _ = only_batch(path)
    count = frames or 9
    assert relevant(batch) == list(range(int(2 / 11 * count), int(4.2 / 11 * count) + 1))


def test_videos_named_like_files_have_the_features_of_their_id(make, tmp_path):
    content = {"s1-d1.avi": {"timestamps": [[0, 60]], "sentences": ["He cuts."], "fps": 30.0, "num_frames": 330}}
    path, run = make(json.dumps(content), "s1-d1", 9, feature_rows="spread"), tmp_path / "run"
    assert hicm("train", path, "--out", run) == 0 and hicm("predict", run) == 0 and hicm("evaluate", run) == 0
    assert list(read_json(run / "predictions_val.json")["results"]) == ["s1-d1.avi"]
    assert read_json(run / "metrics_val.json")["scores"]["mIoU"] >= 0


def test_surplus_rows_are_cut_off(make, tmp_path):
    """The video ends for the room with the rows that it reads."""
    video = dense(14.5, sits=[2, 6], walks=[8, 12], late=[11, 14])
    path = make(video, "v", 14, {"surplus": "cut"}, frames=10)
    batch, rows = only_batch(path)
    assert batch.texts == ("sits", "walks") and batch.lengths.tolist() == [10]
    np.testing.assert_array_equal(batch.rows[0, :, :WIDTH], normalise_rows(rows)[:10])
    np.testing.assert_allclose(batch.windows[:, 0], [[0.4, 0.4], [0.9, 0.2]], rtol=1e-6)
    assert [relevant(batch, row) for row in (0, 1)] == [[2, 3, 4, 5, 6], [8, 9]]
    config, samples = load_config(path), open_samples(load_config(path).data, "train")
    [said] = room_findings(config, "train", samples.videos, samples.speech, WIDTH, tmp_path)
    assert str(said) == ("1 of 1 videos have sentences whose moments start after the 10 s that are read "
                         "(moments.surplus=cut): v (1); they are neither learnt nor found; raise data.frames")
    run = tmp_path / "run"
    assert hicm("train", path, "--out", run) == 0 and hicm("predict", run) == 0 and hicm("evaluate", run) == 0
    found = read_json(run / "predictions_val.json")["results"]["v"]
    assert len(found) == 3 and all(len(one["saliency"]) == 5 for one in found)
    assert max(end for one in found for _, end, _ in one["windows"]) <= 10


def test_a_moment_that_starts_where_reading_ends_is_not_learnt(make):
    path = make(dense(14.5, sits=[2, 6], walks=[10, 12]), "v", 14, {"surplus": "cut"}, frames=10)
    assert only_batch(path)[0].texts == ("sits",)


def test_fewer_rows_are_read_alike(make):
    video = dense(14.5, sits=[2, 6])
    cut, pooled = (only_batch(make(video, "v", 14, {"surplus": surplus}, frames=20))[0] for surplus in ("cut", "pool"))
    for name in ("rows", "windows", "relevant"):
        np.testing.assert_array_equal(getattr(cut, name), getattr(pooled, name))


def test_cut_rows_need_a_length(make):
    path = make(dense(14.5, sits=[2, 6]), "v", 14, {"surplus": "cut"}, frames=10, feature_rows="spread")
    with pytest.raises(UserError, match=r"data\.feature_rows=spread: this needs rows that last equally long"):
        check_settings(load_config(path))


@pytest.mark.parametrize("surplus", ["cut", "pool"])
def test_ratings_beyond_the_features_are_left_out(make, surplus):
    """Clips 0, 10 and 11 of features with 11 rows, and with more clips than rows are read."""
    line = {"qid": 8, "query": "a dog runs", "vid": "one_0_24", "duration": 24, "relevant_windows": [[0, 2], [20, 24]],
            "relevant_clip_ids": [0, 10, 11], "saliency_scores": [[4, 3, 2], [1, 1, 1], [0, 2, 4]]}
    path = make(json.dumps(line), "one_0_24", 11, {"surplus": surplus}, feature_fps=0.5, frames=75)
    assert only_batch(path)[0].ratings[0].tolist() == [9, *[0] * 9, 3]
    path = make(json.dumps(line), "one_0_24", 11, {"surplus": surplus}, feature_fps=0.5, frames=5)
    assert only_batch(path)[0].ratings[0].tolist() == [9 * (surplus == "cut"), 0, 0, 0, 0]
