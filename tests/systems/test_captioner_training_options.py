"""Options of training that change time and memory, and no gradient."""

import dataclasses

import pytest
import torch

from hicm.errors import UserError
from hicm.stages.origins import training_samples
from hicm.systems.base import find_system
from hicm.training.batches import plan_epoch
from tests.tiny import tiny_config


def prepared(config, folder):
    torch.manual_seed(0)
    return find_system(config.system).prepare(config, folder, training_samples(config)[config.data.train])


def gradients(system, steps) -> dict[str, torch.Tensor]:
    """Those of one step of several micro-batches, as the loop computes them."""
    batches = list(system.batches(steps))
    counts = torch.stack([system.counts(batch) for batch in batches]).sum(0)
    system.module.zero_grad()
    for batch in batches:
        system.total(system.module(batch), counts).backward()
    return {name: parameter.grad.clone() for name, parameter in system.module.named_parameters()
            if parameter.grad is not None}


@pytest.fixture
def config(tmp_path):
    return tiny_config(tmp_path, videos=4, retrieval__search="none")


def test_layers_computed_again_give_the_same_gradients_dropout_included(config, tmp_path):
    system = prepared(config, tmp_path)
    system.module.train()
    kept = {}
    for again in (False, True):
        system.model.recompute(again)
        assert system.model.t5.is_gradient_checkpointing == again
        torch.manual_seed(1)
        kept[again] = gradients(system, [[(0, 0), (0, 1)]])
    assert kept[True].keys() == kept[False].keys()
    for name, gradient in kept[False].items():
        torch.testing.assert_close(kept[True][name], gradient, atol=1e-6, rtol=1e-5)


def test_a_step_sorted_by_length_has_the_same_gradients(config, tmp_path):
    system = prepared(config, tmp_path)
    system.module.eval()
    lengths = system.lengths()
    assert len(lengths) == 4 and len(set(lengths)) > 1
    plans = [plan_epoch(4, 2, 2, 1, 0, 5, 0, lengths=known)[0] for known in (None, lengths)]
    assert plans[0] != plans[1]
    plain, by_length = (gradients(system, plan) for plan in plans)
    for name, gradient in plain.items():
        torch.testing.assert_close(by_length[name], gradient, atol=1e-6, rtol=1e-4)


def test_a_system_without_lengths_refuses_to_sort_by_them():
    with pytest.raises(UserError, match="does not know the lengths of its samples"):
        find_system("parallel").lengths(None)

def test_videos_are_read_once_and_only_masked_spans_differ_between_epochs(config, tmp_path, monkeypatch):
    system = prepared(config, tmp_path)
    samples, reads = system.dataset.samples, []
    plain = type(samples).__getitem__
    monkeypatch.setattr(type(samples), "__getitem__", lambda self, row: reads.append(row) or plain(self, row))
    epochs = [list(system.batches([[(epoch, 0), (epoch, 1)], [(epoch, 2), (epoch, 3)]])) for epoch in (0, 1, 0)]
    assert sorted(reads) == [0, 1, 2, 3]
    fresh = list(prepared(config, tmp_path).batches([[(1, 0), (1, 1)], [(1, 2), (1, 3)]]))
    for first, second, third, anew in zip(*epochs, fresh, strict=True):
        for name in ("frames", "memory", "speech", "target"):
            assert torch.equal(getattr(first, name), getattr(second, name)), name
        for name in ("noisy_speech", "noisy_target"):
            assert torch.equal(getattr(first, name), getattr(third, name)), name
            assert torch.equal(getattr(second, name), getattr(anew, name)), "as if the epoch before had never been"
    assert any(first.noisy_speech.tolist() != second.noisy_speech.tolist()
               for first, second in zip(*epochs[:2], strict=True))
    with_workers = prepared(load_workers(config), tmp_path)
    for one, other in zip(epochs[1], with_workers.batches([[(1, 0), (1, 1)], [(1, 2), (1, 3)]]), strict=True):
        assert torch.equal(one.noisy_speech, other.noisy_speech) and torch.equal(one.target, other.target)


def load_workers(config):
    return dataclasses.replace(config, train=dataclasses.replace(config.train, workers=1))
