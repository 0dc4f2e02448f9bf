"""The captioner takes whatever a read hands over: more tokens than windows, some of them masked."""

import json

import pytest

from hicm import verbs
from hicm.retrieval.store import open_retrieved
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
