"""The captioner takes whatever a read hands over: more tokens than windows, some of them masked."""

import json
import signal

import pytest
from safetensors.numpy import load_file

from hicm import verbs
from hicm.cli import main
from hicm.retrieval.store import open_retrieved
from hicm.training import loop
from tests.tiny import WIDTH, make_tiny

T5 = {"d_model": WIDTH, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 4}


@pytest.mark.parametrize(("denoising", "select"), [("shared", "similarity"), ("requeried", "top-k")])
def test_training_and_prediction_with_a_token_per_level(tmp_path, denoising, select):
    config = make_tiny(tmp_path, videos=4, memory__hierarchy="kmeans", memory__branching=2, memory__top=2,
                       retrieval__read="levels", retrieval__select=select, retrieval__threshold=0.5,
                       train__denoising_memory=denoising, captioner__t5_config=T5, captioner__memory_dropout=0.5,
                       train__epochs=1, train__eval_every=0)
    run = verbs.train(str(config), out=str(tmp_path / "run"))
    losses = [entry["loss"] for entry in map(json.loads, (run / "stats.jsonl").read_text().splitlines())
              if "loss" in entry]
    assert len(losses) == 2 and all(loss == loss for loss in losses)
    predictions = verbs.predict(str(run))
    assert len(json.loads(predictions.read_text())["results"]) == 3
    retrieved = open_retrieved(run / "retrieved_training.h5")
    assert retrieved.windows == 4 and retrieved.count == 4 * len(retrieved.levels) >= 8
    masks = [retrieved.mask(video).tolist() for video in retrieved.ids]
    assert any(not all(mask) for mask in masks) == (select == "similarity"), "some windows keep nothing at a level"


NOISE = {"retrieval__top_k": 6, "captioner__memory_sample": 2, "captioner__memory_swap": 0.3}
WAYS = {"weighted": {"retrieval__read": "weighted", "retrieval__temperature": 0.2, "captioner__memory_gate": True},
        "items": {"retrieval__read": "items", "captioner__memory_positions": True, **NOISE},
        "text": {"retrieval__read": "items", "captioner__memory_as": "text", "captioner__memory_drop": 0.2, **NOISE}}


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupted_training_continues_to_the_same_weights(way, tmp_path, monkeypatch):
    """In the middle of an epoch; the new process makes its items, and draws its noise, from the epoch and row alone."""
    config = make_tiny(tmp_path, videos=4, **WAYS[way], train__epochs=2, train__eval_every=0, train__lr=1e-2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main(["train", str(config), "--out", str(whole)]) == 0
    signals = iter([0, 0, signal.SIGTERM])
    monkeypatch.setattr(loop, "_on_any", lambda number, accelerator: next(signals))
    assert main(["train", str(config), "--out", str(broken)]) == 128 + signal.SIGTERM
    monkeypatch.undo()
    assert json.loads((broken / "stats.jsonl").read_text().splitlines()[-1])["step"] == 3
    assert main(["train", str(config), "--out", str(broken)]) == 0
    assert (whole / "last" / "model.safetensors").read_bytes() == (broken / "last" / "model.safetensors").read_bytes()
    found = json.loads(verbs.predict(str(whole)).read_text())["results"]
    none = verbs.predict(str(whole), set_=["retrieval.search=none"], out=str(tmp_path / "none.json"))
    assert len(found) == 3 and found.keys() == json.loads(none.read_text())["results"].keys()
    weights = load_file(whole / "last" / "model.safetensors")
    learned = {"weighted": ["memory_gate"], "text": []}.get(way, [f"memory_positions.{name}" for name in (
        "times", "levels", "ranks", "cosines")])
    assert all(weights[name].any() for name in learned)
