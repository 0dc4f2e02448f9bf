"""On a card the losses of a step are looked at when they are logged or saved, not at every step."""

import json
import math

import pytest
import torch

from hicm.cli import main
from hicm.errors import UserError
from hicm.training import loop
from tests.tiny import make_tiny


def test_losses_looked_at_later_are_logged_alike(tmp_path, monkeypatch):
    config = make_tiny(tmp_path, videos=6, train__epochs=3, train__eval_every=0, train__log_every=4,
                       train__checkpoint_every=5)
    looks, runs = [], {}
    plain = loop._wait_for
    monkeypatch.setattr(loop, "_wait_for", lambda taken, *others: (looks.append(len(taken)), plain(taken, *others)))
    for name, at_once in (("at_once", True), ("later", False)):
        monkeypatch.setattr(loop, "_is_known_at_once", lambda device, at_once=at_once: at_once)
        assert main(["train", str(config), "--out", str(tmp_path / name)]) == 0
        lines = [json.loads(line) for line in (tmp_path / name / "stats.jsonl").read_text().splitlines()]
        runs[name] = ([{key: value for key, value in line.items() if key != "seconds"} for line in lines],
                      (tmp_path / name / "last" / "model.safetensors").read_bytes())
        assert sum(looks) == 9 and max(looks) == (1 if at_once else 3)
        looks.clear()
    assert runs["later"] == runs["at_once"]


def test_the_first_step_without_a_finite_gradient_is_named():
    def taken(step, norm):
        return loop._Taken(step, torch.tensor([2.0, 0.5, norm]), 0.1, (f"video{step}",))

    window: list[list[float]] = []
    with pytest.raises(UserError, match=r"step 2: the gradient is not finite \(losses: a 2, b 0.5; videos: video2\)"):
        loop._wait_for([taken(1, 1.0), taken(2, math.inf), taken(3, math.nan)], window, ("a", "b"))
    assert [row[:3] for row in window] == [[2.0, 0.5, 1.0]]
