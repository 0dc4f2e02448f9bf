"""open_clip's checkpoints in their real formats, with random weights: features of a real video, and captions of it."""

import json

import h5py
import numpy as np
import pytest

from hicm.cli import main
from hicm.data.features import open_features
from hicm.encoders import make_encoder, make_image_encoder
from hicm.loading import NoModel
from hicm.stages.build_memory import build_memory
from tests.memory_data import write_config

CLIP = {"embed_dim": 16, "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}}
GREY = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bilinear", "resize_mode": "squash"}
LOCAL = ("open_clip_model.safetensors", "model.safetensors", "open_clip_pytorch_model.bin", "model.pth")


@pytest.fixture(scope="module")
def clip():
    import open_clip
    import torch

    torch.manual_seed(0)
    return open_clip.CLIP(**CLIP).eval()


@pytest.fixture
def checkpoint(clip, tmp_path, monkeypatch):
    """Specification of a model that is saved as ``file``: a folder with its configuration, or the weights alone."""
    def save(file, folder=tmp_path / "clip", preprocess=GREY):
        import torch
        from open_clip import factory
        from safetensors.torch import save_file

        folder.mkdir(exist_ok=True)
        state = {name: value.contiguous() for name, value in clip.state_dict().items()}
        alone = file.startswith("alone")
        if file.endswith(".safetensors"):
            save_file(state, folder / file)
        else:  # as a training saves it
            torch.save({"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}
                       if alone else state, folder / file)
        if alone:
            monkeypatch.setitem(factory._MODEL_CONFIGS, "tiny", CLIP)
            return f"openclip:tiny/{folder / file}"
        (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": CLIP, "preprocess_cfg": preprocess}))
        return f"openclip:local-dir:{folder}"
    return save


@pytest.fixture
def video(tmp_path, shared):
    """A real one of ten seconds."""
    return shared / "real/videos/skv_bikes.mp4"


@pytest.mark.parametrize("file", [*LOCAL, "alone.pt", "alone.safetensors"])
def test_both_towers_of_every_form(checkpoint, clip, file):
    import torch

    spec = checkpoint(file)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, size=(*size, 3), dtype=np.uint8) for size in ((48, 64), (32, 32), (90, 33))]
    rows = make_image_encoder(spec, offline=True).encode_images(pictures)
    assert rows.dtype == np.float32 and rows.shape == (3, 16)
    assert make_encoder(spec, offline=True).encode(["a"]).shape == (1, 16)
    if not file.startswith("alone"):  # the picture of the tower's own size needs only its configuration's numbers
        given = torch.from_numpy((pictures[1] / 255 - 0.5) / 0.25).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            np.testing.assert_allclose(rows[1], clip.encode_image(given)[0].numpy(), atol=1e-5)


def test_features_and_captions_of_a_video(checkpoint, tmp_path, video, capsys):
    """What embeds the captions of a memory embeds the frames; wherever the folder lies, its content is its name."""
    spec, out = checkpoint(LOCAL[0]), tmp_path / "out"
    cache = ["--cache", str(tmp_path / "cache")]
    assert main(["features", str(video), "--encoder", spec, "--out", str(tmp_path / "f.h5"), "--offline", *cache]) == 0
    rows = open_features(tmp_path / "f.h5").read("skv_bikes")
    with h5py.File(tmp_path / "f.h5") as store:
        attributes = dict(store["skv_bikes"].attrs)
    assert attributes["weights_sha256"] == make_image_encoder(spec, offline=True).weights_sha256
    assert attributes["encoder"] == make_image_encoder(spec).name and attributes["seconds_per_row"] == 1
    assert rows.shape == (10, 16) and np.abs(np.diff(rows, axis=0)).max() > 0
    bank = build_memory(write_config(tmp_path / "memory", summariser="medoid", encoder=spec))
    assert main(["caption", str(video), "--memory", str(bank), "--out", str(out), *cache]) == 2
    assert "say where it is: --encoder openclip:local-dir:clip" in capsys.readouterr().err
    assert main(["caption", str(video), "--memory", str(bank), "--encoder", spec, "--out", str(out), *cache,
                 "--set", "recall.threshold=-1"]) == 0
    found = json.loads((out / "skv_bikes.json").read_text())
    assert found["events"] and found["duration"] == pytest.approx(10, abs=0.1)
    assert "different" not in capsys.readouterr().err, "texts and images of one model"


def test_a_folder_without_weights_that_are_looked_for(checkpoint, tmp_path):
    with pytest.raises(NoModel, match=rf"no weights in {tmp_path}/clip, .*\.pth; a \.pt file is given as openclip:<mo"):
        make_image_encoder(checkpoint("model.pt")).encode_images([np.zeros((9, 9, 3), np.uint8)])


def test_a_moved_folder_is_the_same_encoder(checkpoint, tmp_path):
    name = make_image_encoder(checkpoint(LOCAL[0])).name
    (tmp_path / "elsewhere").mkdir()
    moved = make_image_encoder(checkpoint(LOCAL[0], tmp_path / "elsewhere" / "clip"))
    assert moved.name == name
