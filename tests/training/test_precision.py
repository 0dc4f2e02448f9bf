"""train.precision: auto follows a measurement, which the run keeps; bf16 learns what float32 learns."""

import json

import numpy as np
import pytest
import torch

from hicm.cli import main
from hicm.config import TrainConfig
from hicm.training import precision
from hicm.training.precision import choose_precision, measure_speedup
from tests.tiny import make_tiny

CPU = torch.device("cpu")


@pytest.mark.parametrize(("speedup", "chosen"), [(0.0, "no"), (0.9, "no"), (1.1, "no"), (1.3, "bf16"), (8.0, "bf16")])
def test_auto_is_bf16_where_it_was_measured_to_be_faster(monkeypatch, speedup, chosen):
    monkeypatch.setattr(precision, "measure_speedup", lambda device: speedup)
    found, record = choose_precision(TrainConfig(precision="auto"), CPU)
    assert found == record["chosen"] == chosen and record["bf16_speedup"] == speedup
    other = {"chosen": "bf16" if chosen == "no" else "no"}
    assert choose_precision(TrainConfig(precision="auto"), CPU, other) == (other["chosen"], other)


def test_what_is_asked_for_is_not_measured(monkeypatch):
    monkeypatch.setattr(precision, "measure_speedup", None)
    for asked in ("no", "bf16"):
        assert choose_precision(TrainConfig(precision=asked), CPU) == (asked, {})


def test_the_measurement_compares_times(monkeypatch):
    seconds = {torch.float32: iter([9.0, 3.0, 5.0, 4.0, 8.0, 6.0]),
               torch.bfloat16: iter([9.0, 4.0, 2.0, 3.0, 8.0, 6.0])}
    monkeypatch.setattr(precision, "_products", lambda device, dtype: dtype)
    monkeypatch.setattr(precision, "seconds", lambda work, device: next(seconds[work]))
    assert measure_speedup(CPU) == 1.5
    assert measure_speedup(torch.device("meta")) == 0


def test_the_measurement_runs_here(monkeypatch):
    monkeypatch.setattr(precision, "SHAPE", (8, 16, 24))
    assert measure_speedup(CPU) > 0


def losses(run) -> list[float]:
    return [json.loads(line)["loss"] for line in (run / "stats.jsonl").read_text().splitlines() if "loss" in line]


def test_a_run_under_auto_records_its_precision_keeps_it_and_stays_near_float32(tmp_path, monkeypatch):
    config = make_tiny(tmp_path, videos=4, train__epochs=6, train__eval_every=0, train__checkpoint_every=100)
    assert main(["train", str(config), "--out", str(tmp_path / "float32")]) == 0
    monkeypatch.setattr(precision, "measure_speedup", lambda device: 2.0)
    command = ["train", str(config), "--out", str(tmp_path / "auto"), "--set", "train.precision=auto"]
    assert main(command) == 0
    manifest = tmp_path / "auto" / "manifest.json"
    record = {"chosen": "bf16", "bf16_speedup": 2.0, "needed": precision.MARGIN, "device": "cpu"}
    assert json.loads(manifest.read_text())["precision"] == record
    assert "precision" not in json.loads((tmp_path / "float32" / "manifest.json").read_text())
    exact, rounded = losses(tmp_path / "float32"), losses(tmp_path / "auto")
    assert exact != rounded and rounded == pytest.approx(exact, rel=0.02)
    monkeypatch.setattr(precision, "measure_speedup", lambda device: 0.5)
    assert main(command) == 0
    assert json.loads(manifest.read_text())["precision"] == record


@pytest.mark.slow
def test_two_hundred_steps_in_bfloat16_stay_in_the_band_of_float32(tmp_path):
    """The band that docs/training.md states."""
    config = make_tiny(tmp_path, train__epochs=50, train__eval_every=0, train__checkpoint_every=1000)
    found = {}
    for asked in ("no", "bf16"):
        assert main(["train", str(config), "--out", str(tmp_path / asked), "--set", f"train.precision={asked}"]) == 0
        found[asked] = np.array(losses(tmp_path / asked))
    assert found["no"].shape == found["bf16"].shape == (200,), "every step is logged"
    ratios = found["bf16"] / found["no"]
    tens = found["bf16"].reshape(-1, 10).mean(1) / found["no"].reshape(-1, 10).mean(1)
    print(f"losses in bfloat16 / float32: steps {ratios.min():.4f} to {ratios.max():.4f}, means of 10 steps "
          f"{tens.min():.4f} to {tens.max():.4f}")
    assert np.abs(ratios - 1).max() < 0.005 and np.abs(tens - 1).max() < 0.001
    assert found["no"][-20:].mean() < 0.85 * found["no"][:20].mean(), "nothing was learnt"
