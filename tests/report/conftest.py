"""Two complete run folders, written by the same functions that write real ones."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hicm.config import load_config
from hicm.dvc_eval import evaluate
from hicm.files import write_json
from hicm.recipes.demo.dataset import make_dataset
from hicm.stages.build_memory import build_memory
from hicm.stages.origins import training_origin, training_samples
from hicm.stages.retrieve import retrieve
from hicm.stages.run_folder import open_run

METRICS = ["Recall", "Precision", "F1", "Recall@0.5", "F1@3s", "soda_d"]  # need no Java


def write_run(folder, config, run, noise, spoil=0.0):
    """A finished run whose predictions are the references with ``noise`` seconds on every time."""
    open_run(folder, run, config, training_origin(config, training_samples(config, "val")))
    manifest = json.loads((folder / "manifest.json").read_text())
    write_json(folder / "manifest.json", manifest | {"selected": {"metric": "soda_d", "value": 0.25, "step": 20}})
    rng = np.random.default_rng(0)
    references = json.loads(Path(config.data.annotations["val"][0]).read_text())
    results = {video: [{"sentence": sentence.capitalize() + ".",
                        "timestamp": sorted(np.clip(np.add(span, rng.normal(0, noise, 2)), 0, entry["duration"])
                                            .round(2).tolist())}
                       for span, sentence in zip(entry["timestamps"], entry["sentences"], strict=True)]
               for video, entry in references.items()}
    write_json(folder / "predictions_val.json", {"version": "VERSION 1.0", "external_data": {}, "run": run,
                                                 "split": "val", "checkpoint": {"name": "best", "step": 20},
                                                 "results": results})
    scores = evaluate(folder / "predictions_val.json", config.data.annotations["val"], metrics=METRICS)
    write_json(folder / "metrics_val.json", scores.to_json() | {"left_out": {"METEOR": "METEOR needs Java: none here",
                                                                             "soda_c": "METEOR needs Java: none here"}})
    lines = [{"step": step, "epoch": step / 10, "lr": 1e-3, "loss": 5 / step + spoil, "generative": 3 / step,
              "denoising": 2 / step, "grad_norm": 1.0, "seconds": 0.1} for step in range(1, 31)]
    lines += [{"step": step, "epoch": step // 10, "split": "val", "metrics": {"soda_d": step / 100, "F1": 0.2}}
              for step in (10, 20, 30)]
    (folder / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 31, "los')
    if config.retrieval.search != "none":
        retrieve(config, "val", folder / "retrieved_val.h5")
        retrieve(config, "train", folder / "retrieved_training.h5", training=True)
    return folder


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """A folder with data, a memory and the runs ``none`` and ``descend``; read only."""
    folder = tmp_path_factory.mktemp("world")
    config = load_config(make_dataset(folder / "data", {"train": 30, "val": 7}, width=32))
    config = replace(config, memory=replace(config.memory, path=str(folder / "bank")),
                     data=replace(config.data, frames=60), train=replace(config.train, select_on="soda_d"),
                     retrieval=replace(config.retrieval, windows=6, top_k=3, search="descend"))
    build_memory(config)
    plain = replace(config, retrieval=replace(config.retrieval, search="none"))
    write_run(folder / "none", plain, "demo-00000000", noise=9.0)
    write_run(folder / "descend", config, "demo-11111111", noise=2.0)
    return folder


@pytest.fixture
def runs(world, tmp_path, no_pictures):
    """Copies of both runs, to be damaged."""
    return [Path(shutil.copytree(world / name, tmp_path / name)) for name in ("none", "descend")]
