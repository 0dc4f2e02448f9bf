"""Frame saliency: which frames lie in events, how that is learnt, and what is done with it."""

import dataclasses
import json
import math
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score

from hicm.cli import main
from hicm.config import load_config
from hicm.errors import UserError
from hicm.rooms import check_settings
from hicm.systems.captioner import system
from hicm.systems.captioner.objective import Objective
from hicm.systems.captioner.precision import frame_precisions
from hicm.systems.captioner.saliency import inside_events, listwise_loss
from hicm.systems.captioner.settings import ObjectiveSettings
from hicm.systems.captioner.vocabulary import train_vocabulary
from hicm.training import loop
from hicm.types import Event, Span
from tests.systems.test_captioner_parts import WORDS, make_batch, make_model
from tests.systems.test_captioner_training_options import prepared
from tests.tiny import make_tiny, tiny_config

ON = {"objective": ObjectiveSettings(saliency=0.5)}


@pytest.fixture(scope="module")
def vocabulary():
    return train_vocabulary(WORDS * 5, 60, 100)


def salient(vocabulary, rows=(10, 7, 4)):
    batch = make_batch(vocabulary, rows=list(rows))
    inside = torch.zeros(batch.frame_mask.shape, dtype=torch.bool)
    inside[:, 1:3] = True
    return dataclasses.replace(batch, inside=inside)


def test_a_frame_is_inside_if_its_middle_is():
    spans = np.array([[0, 0.25], [0.25, 0.5], [0.5, 0.75], [0.75, 1]])  # middles at 5, 15, 25, 35 of 40 seconds
    for events, expected in (([], []), ([(15, 25)], [1]), ([(14, 26)], [1, 2]), ([(0, 5.5), (35, 99)], [0, 3]),
                             ([(30, 10)], [])):
        found = inside_events([Event(Span(*span), "x") for span in events], 40.0, spans)
        assert found.nonzero()[0].tolist() == expected


def test_the_loss_is_the_mean_log_softmax_of_the_frames_inside():
    scores = torch.tensor([[1.0, 2.0, 0.0, 50.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]]).bool()
    inside = torch.tensor([[0, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]).bool()
    total = math.log(math.e + math.e ** 2 + 1)
    found, count = listwise_loss(scores, inside, mask)
    assert float(found) == pytest.approx(total - (2 + 0) / 2 + math.log(4)) and count == 2, "two tell nothing apart"
    assert float(listwise_loss(scores[2:], inside[2:], mask[2:])[0]) == 0


def test_a_captioner_gains_the_part_without_a_change(vocabulary):
    """The vector is 0 at first; once it is not, frames are marked by their score, and padding is not."""
    batch = salient(vocabulary)
    plain, model = make_model(vocabulary).eval(), make_model(vocabulary, **ON).eval()
    assert plain.saliency is None and model.saliency is not None
    model.load_state_dict({**model.state_dict(), **plain.state_dict()})
    with torch.inference_mode():
        assert torch.equal(model.encode(batch)[0], plain.encode(batch)[0])
        assert torch.equal(model.encode_video(batch)[0], plain.encode_video(batch)[0])
        model.saliency.shown.fill_(0.5)
        (states, _), scores = model.encode_and_score(batch)
        added = (states - plain.encode_video(batch)[0])[:, :10]
    torch.testing.assert_close(added, scores[:, :, None] * 0.5 * torch.ones(added.shape[2]), atol=1e-5, rtol=1e-4)
    assert not scores[~batch.frame_mask].any() and scores.abs().sum() > 0
    torch.testing.assert_close(scores.sum(1), torch.zeros(3), atol=1e-5, rtol=0)


def test_the_objective_has_a_third_loss_whose_sum_does_not_depend_on_the_batch(vocabulary):
    model, batch, objective = make_model(vocabulary, **ON).eval(), salient(vocabulary), Objective(saliency=0.5)
    counts, sums = objective.token_counts(batch), objective(model, batch)
    assert list(objective.weights) == ["generative", "denoising", "saliency"]
    assert sums.shape == counts.shape == (3,) and counts[2] == 3
    torch.testing.assert_close(objective.total(sums, counts), (sums / counts * torch.tensor([1, 1, 0.5])).sum())
    alone = [batch.take([row], batch.speech.shape[1]) for row in range(3)]
    torch.testing.assert_close(sum(objective(model, one)[2] for one in alone), sums[2])
    torch.testing.assert_close(sums[:2], Objective()(model, batch))
    hidden = dataclasses.replace(batch, hidden=batch.frame_mask & (torch.arange(3) == 1)[:, None])
    assert objective.token_counts(hidden)[2] == 2, "of a hidden video nothing is to be told"
    objective(model, batch)[2].backward()
    assert model.saliency.score.weight.grad.abs().sum() > 0


def test_average_precision_is_of_real_frames_and_of_videos_with_both_kinds(vocabulary):
    model, batch = make_model(vocabulary, **ON).eval(), salient(vocabulary, rows=(10, 5, 3))
    inside = batch.inside.clone()
    inside[2] = True
    batch = dataclasses.replace(batch, inside=inside)
    with torch.inference_mode():
        scores = model.encode_and_score(batch)[1].numpy()
    expected = [average_precision_score(inside[row, :real], scores[row, :real]) for row, real in ((0, 10), (1, 5))]
    assert frame_precisions(model, batch) == pytest.approx(expected)
    assert frame_precisions(make_model(vocabulary).eval(), batch) == []


def test_it_is_measured_in_smaller_batches_after_running_out_of_memory(tmp_path, monkeypatch):
    config = tiny_config(tmp_path, videos=4, captioner__objective__saliency=1.0, retrieval__search="none")
    learner = prepared(config, tmp_path)
    samples, sizes = learner.dataset.samples, []
    expected = learner.watched(samples)

    def scarce(model, batch):
        sizes.append(len(batch.frames))
        if len(batch.frames) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return frame_precisions(model, batch)

    monkeypatch.setattr(system, "frame_precisions", scarce)
    with pytest.warns(UserWarning, match="out of memory with 4 videos at once"):
        assert learner.watched(samples) == pytest.approx(expected)
    assert sizes == [4, 2, 1, 1, 1, 1] and 0 < expected["saliency_AP"] <= 1


def test_scikit_learn_is_imported_where_it_is_measured():
    code = "import sys, hicm.systems.captioner.system; assert 'sklearn' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_score_learns_and_is_logged_and_a_run_continues_to_the_last_bit(tmp_path, monkeypatch):
    """End to end, with hidden videos and times that point at frames."""
    tiny = make_tiny(tmp_path, videos=6, train__epochs=3, train__eval_every=3, captioner__objective__saliency=1.0,
                     captioner__video_drop=0.3, captioner__video_drop_share=0.5, captioner__video_drop_grows=True,
                     captioner__point_times=True, train__lr=0.005)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(["train", str(tiny), "--out", str(whole)]) == 0
    signals = iter([0, 0, 0, 0, signal.SIGTERM])
    monkeypatch.setattr(loop, "_on_any", lambda number, accelerator: next(signals))
    assert main(["train", str(tiny), "--out", str(broken)]) == 128 + signal.SIGTERM
    monkeypatch.undo()
    assert main(["train", str(tiny), "--out", str(broken)]) == 0
    files = [run / "last" / "model.safetensors" for run in (whole, broken)]
    assert files[0].read_bytes() == files[1].read_bytes()
    lines = [json.loads(line) for line in (whole / "stats.jsonl").read_text().splitlines()]
    losses = [line["saliency"] for line in lines if "saliency" in line]
    assert len(losses) == 9 and sum(losses[-3:]) < sum(losses[:3])
    scores, = (line["metrics"] for line in lines if "metrics" in line)
    assert 0 < scores["saliency_AP"] <= 1 and "soda_d" in scores
    assert load_file(files[0])["saliency.shown"].abs().sum() > 0


def test_a_captioner_without_it_may_be_the_start_of_one_that_has_it(vocabulary, tmp_path):
    from hicm.systems.captioner.weights import load_state, own_state

    plain, model = make_model(vocabulary), make_model(vocabulary, **ON)
    assert load_state(model, own_state(plain), "here") == ["saliency.score.weight", "saliency.shown"]
    with pytest.raises(UserError, match=r"unused keys: saliency\.score\.weight"):
        load_state(plain, own_state(model), "here")


def test_what_does_not_fit_is_refused_or_told():
    with pytest.warns(UserWarning, match=r"use_video=false: captioner\.objective\.saliency"):
        check_settings(load_config(None, ["captioner.objective.saliency=1", "captioner.use_video=false"]))
    with pytest.raises(UserError, match=r"saliency: is learnt from annotated events, which data\.target=speech"):
        check_settings(load_config(None, ["captioner.objective.saliency=1", "data.target=speech", "data.speech=x"]))
