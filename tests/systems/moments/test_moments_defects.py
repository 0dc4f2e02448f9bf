"""What the published code of moment retrieval gets wrong or cannot do, each as a test in plain words."""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hicm.config import load_config
from hicm.data.features import write_features
from hicm.data.samples import SampleList, open_samples, single_sample
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.moments.records import Query
from hicm.systems.base import find_system
from hicm.systems.moments.batch import Batch
from hicm.systems.moments.collate import Item, collate
from hicm.systems.moments.decode import ranked_windows
from hicm.systems.moments.draw import draw
from hicm.systems.moments.model import Layer, Moments
from hicm.systems.moments.objective import LossModule, loss_counts, loss_names
from hicm.systems.moments.saliency_losses import negative_losses
from hicm.systems.moments.sentence_loss import right_answers
from hicm.systems.moments.settings import ObjectiveSettings
from hicm.systems.moments.targets import rated_rows, relevant_rows
from hicm.systems.moments.window_losses import FOUND, window_losses
from tests.rooms.conftest import hicm
from tests.systems.moments.moments_made_up import make_item, make_model
from tests.systems.moments.test_moments_room import TINY as ROOM
from tests.tiny import WIDTH

CLIPS = ("youtube1234_0.0_22.0", "youtube1234_22.0_44.0")  # of one video


def rated(query: int, video: str, **more) -> dict:
    return {"qid": query, "query": f"sentence {query}", "vid": video, "duration": 22, "relevant_windows": [[2, 6]],
            "relevant_clip_ids": [1, 2], "saliency_scores": [[4, 3, 2], [1, 1, 1]], **more}


@pytest.fixture
def make(tmp_path):
    """Settings for annotations {split: rows or videos}, with features of 2 s per row."""
    def make(**splits) -> Path:
        files, ids = {}, set()
        for split, content in splits.items():
            name = tmp_path / f"{split}.{'json' if isinstance(content, dict) else 'jsonl'}"
            name.write_text(json.dumps(content) if isinstance(content, dict) else "\n".join(map(json.dumps, content)))
            files[split] = [str(name)]
            ids |= set(content) if isinstance(content, dict) else {row["vid"] for row in content}
        rng = np.random.default_rng(0)
        write_features(tmp_path / "features.h5", {video: rng.standard_normal((11, WIDTH)) for video in sorted(ids)})
        data = {"name": "x", "annotations": files, "features": str(tmp_path / "features.h5"), "feature_fps": 0.5,
                "select": "val" if "val" in splits else "train", "report": "val" if "val" in splits else "train"}
        write_json(tmp_path / "settings.yaml", {
            "system": "moments", "data": data, "moments": ROOM,
            "train": {"epochs": 1, "batch": 2, "lr": 1e-3, "log_every": 1}})
        return tmp_path / "settings.yaml"
    return make


def system_of(settings: Path, *overrides: str):
    config = load_config(settings, overrides)
    torch.manual_seed(0)
    return find_system("moments").prepare(config, settings.parent, open_samples(config.data, "train"))


def alone(*items: Item) -> Batch:
    return collate([[item] for item in items])


def losses(model: Moments, batch: Batch) -> dict[str, float]:
    """Means by name, after a backward pass whose gradients are finite."""
    module, draws = LossModule(model, model.settings.objective), draw(batch)
    means = module.of(model(batch, draws), batch, draws) / loss_counts(batch, model.settings.queries, 2).clamp(min=1)
    means.sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in model.parameters() if one.grad is not None)
    return dict(zip(loss_names(2), means.tolist(), strict=True))


# one video, one query

def test_one_video_with_one_query_is_trained_predicted_and_scored(make, tmp_path):
    """Published: IndexError, as there is no query about another video; at test time, too."""
    settings, run = make(train=[rated(1, CLIPS[0])]), tmp_path / "run"
    assert hicm("train", settings, "--set", "train.batch=1", "--out", run) == 0
    assert hicm("predict", run) == 0 and hicm("evaluate", run) == 0
    [query] = read_json(run / "predictions_train.json")["results"][CLIPS[0]]
    assert query["qid"] == "1" and len(query["windows"]) == ROOM["queries"] and len(query["saliency"]) == 11


def test_one_query_about_a_video_that_no_file_lists(make):
    """Published: there is no way to ask a question of one's own."""
    system = system_of(make(train=[rated(1, CLIPS[0]), rated(2, CLIPS[1])]))
    rows = np.random.default_rng(1).standard_normal((7, WIDTH)).astype(np.float32)
    asked = Query("mine", "a sentence never seen", "new", 14.0, np.zeros((0, 2)))
    [found] = system.predict(SampleList([single_sample("new", rows, 2.0, queries=(asked,))], "here"))
    [answer] = found["new"]
    assert answer.query == "mine" and answer.windows.shape == (ROOM["queries"], 3) and len(answer.saliency) == 7
    assert np.isfinite(answer.windows).all() and (np.diff(answer.windows[:, 2]) <= 0).all()


def test_a_batch_about_one_video_has_no_negatives():
    """Published: queries about the same video are needed to be from others; the loss of negatives fails."""
    model = make_model()
    one, two = losses(model, alone(make_item(1, 12, 3))), losses(model, alone(make_item(1, 12, 1)))
    assert all(np.isfinite(value) for value in (*one.values(), *two.values()))
    draws = draw(alone(make_item(1, 12, 3)))
    assert not draws.has_negative.any()


# several splits, splits without labels

CG = {"AAAAA": {"duration": 22, "timestamps": [[0, 5], [8, 20]], "sentences": ["a dog", "a cat"]},
      "BBBBB": {"duration": 22, "timestamps": [[2, 4]], "sentences": ["a cat"]}}


def test_both_novel_splits_of_charades_cg_are_predicted_and_scored(make, tmp_path, capsys):
    """Published: one split is asserted, and the checkpoint's name assumed."""
    settings, run = make(train=CG, val=CG, novel_composition={"AAAAA": CG["AAAAA"]},
                         novel_word={"BBBBB": CG["BBBBB"]}), tmp_path / "run"
    assert hicm("train", settings, "--out", run) == 0
    for split, queries in (("novel_composition", ["1", "2"]), ("novel_word", ["1"])):
        assert hicm("predict", run, "--split", split) == 0
        assert hicm("evaluate", run, "--split", split, "--protocol", "charades") == 0
        assert list(read_json(run / f"metrics_{split}.json")["per_query"]) == queries


def test_a_split_without_labels_is_predicted_but_not_scored(make, tmp_path, capsys):
    """Published: KeyError, for the labels are read in prediction, too."""
    rows = [rated(1, CLIPS[0]), rated(2, CLIPS[1])]
    bare = [{key: row[key] for key in ("qid", "query", "vid", "duration")} for row in rows]
    settings, run = make(train=rows, val=rows, test=bare), tmp_path / "run"
    assert hicm("train", settings, "--out", run) == 0
    assert hicm("predict", run, "--split", "test") == 0
    assert hicm("predict", run) == 0
    found, labelled = (read_json(run / f"predictions_{split}.json")["results"] for split in ("test", "val"))
    assert found == labelled, "predictions do not depend on labels"
    capsys.readouterr()
    assert hicm("evaluate", run, "--split", "test") == 2
    assert "no query has a true window; a test split without labels cannot be scored" in capsys.readouterr().err


def test_a_split_without_labels_cannot_select_and_that_is_said_before_training(make, tmp_path, capsys):
    rows = [rated(1, CLIPS[0])]
    bare = [{key: rows[0][key] for key in ("qid", "query", "vid", "duration")}]
    assert hicm("train", make(train=rows, val=bare), "--out", tmp_path / "run") == 2
    assert "a test split without labels cannot be scored" in capsys.readouterr().err
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").rglob("*.safetensors"))


# moments and ratings at the edges

def test_a_moment_that_covers_the_whole_video_is_trained(make):
    """Published: ValueError, as there is no row to draw the negative from."""
    whole = rated(1, CLIPS[0], relevant_windows=[[0, 22]], relevant_clip_ids=list(range(11)),
                  saliency_scores=[[4, 4, 4]] * 11)
    system = system_of(make(train=[whole]), "moments.objective.triplet=true")
    [batch] = system.batches([[(0, 0)]])
    assert batch.relevant.all() and not draw(batch).has_pairs.any()
    losses(system.model, batch)


def test_a_moment_without_length_is_trained(make):
    """Published evaluation: 0 / 0."""
    dot = {"AAAAA": {"duration": 22, "timestamps": [[8, 8]], "sentences": ["now"]}}
    system = system_of(make(train=dot))
    [batch] = system.batches([[(0, 0)]])
    np.testing.assert_allclose(batch.windows[0], [[8 / 22, 0]], rtol=1e-6)
    assert batch.relevant[0].sum() == 1
    found = losses(system.model, batch)
    assert all(np.isfinite(value) for value in found.values())


def test_a_rated_clip_beyond_the_features_is_left_out(make):
    """Published: labels one longer than the features, where a clip's number is the number of rows."""
    assert rated_rows(np.array([0, 3]), np.array([[1, 1, 1], [4, 4, 4]]), 2.0, 3).tolist() == [3, 0, 0]
    row = rated(1, CLIPS[0], duration=24, relevant_clip_ids=[1, 11], saliency_scores=[[1, 1, 1], [4, 4, 4]])
    system = system_of(make(train=[row]))
    [batch] = system.batches([[(0, 0)]])
    assert batch.ratings.shape == (1, 11) and batch.ratings[0].nonzero().flatten().tolist() == [1]


def test_rows_are_found_by_their_true_length_after_pooling(make):
    """Published: by a fixed number of seconds, so that masks and pooled rows of long videos disagree."""
    system = system_of(make(train=[rated(1, CLIPS[0], relevant_windows=[[17, 21]], relevant_clip_ids=[9],
                                        saliency_scores=[[1, 0, 0]])]), "data.frames=4")
    [batch] = system.batches([[(0, 0)]])
    assert batch.rows.shape[1] == 4 and batch.relevant[0].tolist() == [False, False, False, True]
    assert relevant_rows([], 5.5, 4).tolist() == [False] * 4


# losses

def test_scores_that_are_certain_have_a_finite_loss():
    """Published: -log(1 - sigmoid(score)) is infinite from 17 on in single precision."""
    scores = torch.tensor([[-200.0, 0.0, 17.5, 200.0]], requires_grad=True)
    found = negative_losses(scores, torch.ones(1, 4, dtype=torch.bool))
    found.sum().backward()
    np.testing.assert_allclose(found.detach(), [np.log(2) + 217.5], rtol=1e-6)
    np.testing.assert_allclose(scores.grad, [[0, 0.5, 1, 1]], atol=1e-6)


def test_class_0_is_a_found_window():
    """Published: a comment says it is the background."""
    boxes = torch.tensor([[[0.3, 0.2], [0.7, 0.2]]])
    labels = torch.tensor([[[5.0, -5.0], [-5.0, 5.0]]])
    own, targets = ObjectiveSettings(), boxes[:, :1]

    def loss(labels):
        return window_losses(Layer(labels, boxes, boxes, boxes), targets, torch.tensor([1]), own)[2].item()

    assert FOUND == 0 and loss(labels) < 1e-3 < 5 < loss(labels.flip(2))
    [best, worst] = ranked_windows(Layer(labels, boxes, boxes, boxes), torch.tensor([10.0]).double())[0].tolist()
    np.testing.assert_allclose(best, [2, 4, 1], atol=1e-3)
    assert worst[2] < 1e-3


def test_moments_of_different_clips_of_one_youtube_video_are_not_alike(make):
    """Published: they are compared in times within their own clips; 92 % of such pairs join different clips."""
    system = system_of(make(train=[rated(1, CLIPS[0]), rated(2, CLIPS[1]), rated(3, CLIPS[0])]))
    [batch] = system.batches([[(0, place) for place in range(system.size)]])
    queries = list(batch.queries)
    answers = right_answers(batch, 0.9)
    one, other, same = (queries.index(name) for name in ("1", "2", "3"))
    assert torch.equal(batch.hulls[one], batch.hulls[other]) and answers[one, same]
    assert not answers[one, other] and not answers[other, same]
    assert batch.group[one] != batch.group[other]


# what is drawn, what is padding

def test_what_is_drawn_depends_on_the_seed_of_training_alone():
    """Published: masked words are drawn by numpy, whose state differs between workers and machines."""
    batch = alone(make_item(1, 12, 2), make_item(2, 9, 3))

    def drawn(seed: int):
        np.random.seed(seed)
        random.seed(seed)
        torch.manual_seed(0)
        return draw(batch)

    one, two = drawn(1), drawn(2)
    assert all(torch.equal(getattr(one, name), getattr(two, name)) for name in vars(one))


def test_a_word_of_class_0_and_of_zeros_is_no_padding():
    """Published: padding is what has id 0."""
    item = make_item(1, 12, 2, longest=6)
    query = replace(item.queries[0], words=np.zeros((4, item.queries[0].words.shape[1]), np.float32),
                    labels=np.zeros(4, np.int64), unknown=np.zeros(4, bool), weights=np.ones(4, np.float32))
    batch = alone(replace(item, queries=(query, *item.queries[1:])))
    assert batch.word_lengths[0] == 4 and batch.word_mask[0].sum() == 4
    torch.manual_seed(0)
    assert draw(batch).masked[0].sum() == 1
    with torch.no_grad():
        assert torch.isfinite(make_model()(batch).layers[-1].boxes).all()


def test_predictions_do_not_depend_on_the_order_of_videos(make, tmp_path):
    """Published: evaluation shuffles, and heads read the padding of other queries."""
    rows = [rated(1, CLIPS[0]), rated(2, CLIPS[1]), rated(3, CLIPS[0]) | {"query": "another one, which is much longer"}]
    run, again = tmp_path / "run", tmp_path / "again"
    assert hicm("train", make(train=rows), "--out", run) == 0 and hicm("predict", run) == 0
    first = read_json(run / "predictions_train.json")["results"]
    shutil.copytree(run, again)
    make(train=rows[::-1])
    assert hicm("predict", again, "--out", again / "p.json") == 0
    second = read_json(again / "p.json")["results"]
    for video in CLIPS:
        by_id = {one["qid"]: one for one in second[video]}
        for one in first[video]:
            np.testing.assert_allclose(by_id[one["qid"]]["windows"], one["windows"], atol=2e-3)


def test_unknown_settings_are_refused(make):
    """Published: a setting whose name has a typing error (span_los_type) does nothing."""
    with pytest.raises(UserError, match="sentence_layer"):
        load_config(make(train=[rated(1, CLIPS[0])]), ["moments.sentence_layer=2"])
