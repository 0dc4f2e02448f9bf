"""Batches, schedule, checkpoints and the training log."""

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hicm.config import TrainConfig, load_config
from hicm.errors import UserError
from hicm.training.batches import plan_epoch
from hicm.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from hicm.training.log import Log
from hicm.training.optim import learning_rate, make_optimiser, optimiser_step, scheduled_rate

small = st.integers(1, 5)


@given(st.integers(1, 60), small, small, small, st.integers(0, 9))
def test_every_video_comes_once_an_epoch(size, batch, accumulate, processes, seed):
    if size < processes:
        with pytest.raises(UserError, match="cannot be shared"):
            plan_epoch(size, batch, accumulate, processes, 0, seed, 0)
        return
    plans = [plan_epoch(size, batch, accumulate, processes, rank, seed, 3) for rank in range(processes)]
    rows = [row for plan in plans for step in plan for micro in step for _, row in micro]
    assert sorted(rows) == list(range(size))
    assert {len(plan) for plan in plans} == {len(plans[0])}, "every process takes part in every step"
    assert all(micro for plan in plans for step in plan for micro in step), "and never with an empty batch"
    assert all([len(step) for step in plan] == [len(step) for step in plans[0]] for plan in plans)
    assert {epoch for plan in plans for step in plan for micro in step for epoch, _ in micro} == {3}


@given(st.integers(1, 60), st.sampled_from([0.125, 0.5, 1.0]), small)
def test_an_epoch_may_see_a_share_of_the_videos(size, share, batch):
    epochs = [[row for step in plan_epoch(size, batch, 1, 1, 0, 0, epoch, share) for micro in step for _, row in micro]
              for epoch in range(200)]
    assert {len(rows) for rows in epochs} == {math.ceil(share * size)} and len(set(epochs[0])) == len(epochs[0])
    assert set().union(*epochs) == set(range(size)), "drawn anew each epoch"


@pytest.mark.parametrize(("settings", "evaluated"), [
    ({}, [1, 2, 3, 4, 5]), ({"eval_every": 0}, []), ({"eval_every": 2}, [2, 4, 5]), ({"eval_start": 4}, [4, 5]),
    ({"eval_start": 6}, []), ({"eval_epochs": [2, 5]}, [2, 5]), ({"eval_epochs": [3], "eval_every": 0}, [3]),
    ({"eval_epochs": [9]}, [])])
def test_which_epochs_are_evaluated(settings, evaluated):
    config = TrainConfig(epochs=5, **settings)
    assert [epoch for epoch in range(1, 6) if config.is_evaluated(epoch)] == evaluated
    assert config.evaluates == bool(evaluated)


@given(st.integers(8, 60), st.integers(1, 3))
def test_a_step_holds_the_same_videos_for_any_number_of_processes(size, half):
    def steps(batch, processes):
        plans = [plan_epoch(size, batch, 1, processes, rank, 0, 0) for rank in range(processes)]
        return [sorted(row for plan in plans for micro in plan[i] for _, row in micro) for i in range(len(plans[0]))]

    one, two = steps(2 * half, 1), steps(half, 2)
    assert one[:-2] == two[:len(one) - 2]


@given(st.integers(20, 500), st.floats(0.02, 0.5))
def test_the_rate_climbs_to_its_peak_and_falls_to_nothing(total, warmup):
    rates = [learning_rate(i, total, 1.0, warmup) for i in range(total)]
    peak = max(round(warmup * total), 1) - 1
    assert rates[peak] == pytest.approx(1.0) and all(0 < rate <= 1 for rate in rates)
    assert rates[:peak + 1] == sorted(rates[:peak + 1]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    lagged = [learning_rate(i, total, 1.0, warmup, lag=True) for i in range(total)]
    warm = round(warmup * total)
    reference = [i / max(1, warm) if i < warm else (1 + math.cos(math.pi * (i - warm) / max(1, total - warm))) / 2
                 for i in range(total)]
    assert lagged[0] == 1.0 and lagged[1:] == pytest.approx(reference[:-1])


def test_constant_schedule_has_no_warm_up():
    assert [learning_rate(i, 10, 0.5, 0.3, "constant") for i in range(10)] == [0.5] * 10


def test_the_step_schedule_is_that_of_cm2_and_pdvc():
    """Halved at the epochs 8, 11, ..., 26, counted from 0 (learning_rate_decay_start 8, every 3, rate 0.5)."""
    config = load_config("cm2_yc2").train
    for epoch in range(config.epochs):
        halved = max(0, (epoch - 8) // 3 + 1) if epoch < 29 else 7
        for step in (3 * epoch, 3 * epoch + 2):
            assert scheduled_rate(step, 3, config) == 5e-5 * 0.5 ** halved
    reference = torch.optim.lr_scheduler.MultiStepLR(
        torch.optim.SGD([torch.zeros(1)], lr=5e-5), range(8, 29, 3), gamma=0.5)
    for epoch in range(config.epochs):
        assert scheduled_rate(epoch, 1, config) == pytest.approx(reference.get_last_lr()[0], rel=1e-12)
        reference.optimizer.step()
        reference.step()


def test_other_schedules_are_what_they_were():
    for schedule in ("cosine", "constant"):
        config = TrainConfig(epochs=2, lr=0.5, schedule=schedule)
        assert [scheduled_rate(i, 10, config) for i in range(20)] == [
            learning_rate(i, 20, 0.5, 0.1, schedule) for i in range(20)]


@pytest.mark.parametrize(("settings", "told"), [
    (["train.schedule=step"], "train.decay_after is empty; give the epochs"),
    (["train.decay_after=[0, 3]"], r"train.decay_after: expected epochs from 1, found \[0, 3\]"),
    (["train.decay=1.5"], "train.decay"), (["train.schedule=steps"], "train.schedule")])
def test_a_schedule_that_means_nothing_is_refused(settings, told):
    with pytest.raises(UserError, match=told):
        load_config(None, settings)


def test_gradients_are_clipped_and_a_broken_one_leaves_the_weights():
    layer = torch.nn.Linear(2, 1)
    optimiser = make_optimiser(layer, 0.1)
    before = [p.clone() for p in layer.parameters()]
    (layer(torch.tensor([[1.0, float("nan")]]))).sum().backward()
    with pytest.raises(FloatingPointError):
        optimiser_step(layer, optimiser, 0.1, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))
    optimiser.zero_grad()
    (100 * layer(torch.ones(1, 2))).sum().backward()
    assert float(optimiser_step(layer, optimiser, 0.1, 1.0)) == pytest.approx(100 * 3 ** 0.5)
    assert not any(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))


def test_checkpoints_restore_everything_and_refuse_strangers(tmp_path):
    def trained(seed, steps):
        torch.manual_seed(seed)
        layer = torch.nn.Linear(3, 2)
        optimiser = make_optimiser(layer, 0.1)
        for _ in range(steps):
            layer(torch.ones(1, 3)).pow(2).sum().backward()
            optimiser_step(layer, optimiser, 0.1, 1.0)
        return layer, optimiser

    path = tmp_path / "checkpoint.pt"
    layer, optimiser = trained(0, 4)
    progress = Progress(step=4, epoch=1, position=2, best=0.5, best_step=3, lines=7, window=[[1.0, 2.0, 3.0, 4.0]])
    save_checkpoint(path, "run-1", layer, optimiser, progress)
    other, its_optimiser = trained(1, 1)
    assert load_checkpoint(path, "run-1", other, its_optimiser) == progress
    for model, optim in ((layer, optimiser), (other, its_optimiser)):
        model(torch.ones(1, 3)).pow(2).sum().backward()
        optimiser_step(model, optim, 0.1, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), other.parameters(), strict=True))
    assert load_checkpoint(tmp_path / "none.pt", "run-1", other, its_optimiser) == Progress()
    with pytest.raises(UserError, match="belongs to run run-1, not run-2"):
        load_checkpoint(path, "run-2", other, its_optimiser)
    with pytest.raises(UserError, match=r"started with 1 process\(es\), not 2"):
        load_checkpoint(path, "run-1", other, its_optimiser, processes=2)


def test_the_log_drops_what_came_after_the_checkpoint(tmp_path):
    log = Log(tmp_path, 0, 0)
    for step in (1, 2, 3):
        log.write(step, step / 10, loss=1.0 / step)
    log.close()
    log = Log(tmp_path, 2, 2)
    log.write(3, 0.3, split="select", metrics={"CIDEr": 0.5})
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3] and lines[-1]["metrics"] == {"CIDEr": 0.5}
    assert list((tmp_path / "tensorboard").iterdir())


@given(st.integers(1, 40), small, small, st.integers(1, 3))
def test_a_step_sorted_by_length_holds_the_same_videos_and_pads_less(size, batch, accumulate, processes):
    if size < processes:
        return
    lengths = [(7 * row) % 11 for row in range(size)]

    def plans(lengths):
        return [plan_epoch(size, batch, accumulate, processes, rank, 0, 3, lengths=lengths)
                for rank in range(processes)]

    def padded(plans):
        return sum(len(micro) * max(lengths[row] for _, row in micro) for plan in plans for step in plan
                   for micro in step)

    plain, by_length = plans(None), plans(lengths)
    for step in range(len(plain[0])):
        assert sorted(index for plan in plain for micro in plan[step] for index in micro) == sorted(
            index for plan in by_length for micro in plan[step] for index in micro)
    assert processes > 1 or size % batch or padded(by_length) <= padded(plain)
    assert padded(plans([0] * size)) == padded(plain), "equal lengths keep their order"
