"""A checkpoint of CM2 in its own size, from the released form to predictions: those of the published code."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import tests.systems.parallel_golden as made
from hicm import verbs
from hicm.files import read_json
from hicm.memory.imports import import_bank
from hicm.systems.parallel.weights import load_model
from tests.released_parallel import write_checkpoint


@pytest.fixture(scope="module")
def golden():
    return made.read_golden()


@pytest.fixture(scope="module")
def run(golden, tmp_path_factory) -> Path:
    """The golden case in files, and its weights converted: `hicm memory import`, `hicm convert`."""
    folder = tmp_path_factory.mktemp("golden")
    settings = write_data(golden, folder)
    config = golden.config
    checkpoint = write_checkpoint(folder / "model-best.pth", made.released_state(golden))
    made.vocabulary(golden).save(folder / "words.json")
    sizes = {"parallel.queries": "num_queries", "parallel.max_events": "max_eseq_length",
             "retrieval.windows": "window_size", "retrieval.top_k": "soft_k"}
    run = verbs.convert(str(checkpoint), str(settings), str(folder / "run"), vocabulary=str(folder / "words.json"),
                        set_=["preset=released", *(f"{ours}={config[theirs]}" for ours, theirs in sizes.items())])
    checkpoint.unlink()
    return run


def write_data(golden, folder: Path) -> Path:
    """Annotations, features, a CM2 bank that is imported, and settings."""
    (folder / "val.json").write_text(json.dumps(golden.annotations))
    torch.save(dict(zip(golden.video_ids, map(torch.from_numpy, made.features(golden)), strict=True)), folder / "x.pth")
    leaves = made.bank(golden).leaves
    (folder / "clip").mkdir()
    np.save(folder / "clip" / "yc2_clip_token_embeds.npy", leaves.embeddings[:, None])
    np.save(folder / "clip" / "yc2_scene_sentences.npy", np.array(leaves.texts))
    np.save(folder / "clip" / "yc2_scene_videoID.npy", np.array(leaves.videos))
    bank = import_bank(folder / "clip", folder / "bank", "openclip:ViT-L-14/openai")
    path = folder / "golden.yaml"
    path.write_text(json.dumps({"data": {"name": "golden", "annotations": {"val": [str(folder / "val.json")]},
                                         "features": str(folder / "x.pth")}, "memory": {"path": str(bank)}}))
    return path


@pytest.mark.slow
def test_the_weights_are_those_of_the_golden_case(run, golden):
    model, words = load_model(run / "best")
    own = made.make_model(golden).state_dict()
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())
    assert words.words == made.vocabulary(golden).words
    keys = read_json(run / "manifest.json")["keys"]
    assert keys["used"] == len(golden.parameter_shapes)
    assert len(keys["renamed"]) == len(golden.parameter_shapes) + len(golden.aliases)
    assert sum(about["tensors"] for about in keys["never_read"].values()) == len(golden.dead_parameter_shapes) + 1


@pytest.mark.slow
def test_predictions_are_those_of_the_published_code(run, golden):
    results = read_json(verbs.predict(str(run)))["results"]
    assert list(results) == golden.video_ids
    for video, expected in golden.final_events["zeros"].items():
        found = results[video]
        assert [event["sentence"] for event in found] == [event["sentence"] for event in expected], video
        for event, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(event["timestamp"], other["timestamp"], atol=0.02)
            assert abs(event["score"] - other["proposal_score"]) < 1e-4
