"""`hicm reproduce` from beginning to end, on a made-up copy of the hub repositories: 5 videos, a tiny model."""

import json
import pickle
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from hicm.cli import main
from hicm.config import load_config
from hicm.data.features import open_features
from hicm.memory.exports import export_bank
from hicm.recipes.demo.dataset import make_dataset
from hicm.stages.build_memory import build_memory
from tests.hub_server import serve_hub
from tests.released import golden, make_settings, weights, write_released  # noqa: F401 (fixtures)

WIDTH = 24
PICKLE = "presave/yc2/hierarchical_clustering_results_yc2_70B.pkl"


@pytest.fixture(scope="module")
def mirror(golden, weights, tmp_path_factory) -> Path:  # noqa: F811
    """A folder laid out as Geppa/HiCM2 is, with its own settings file beside it."""
    root = tmp_path_factory.mktemp("mirror")
    made = make_dataset(root / "made", {"train": 5, "val": 5}, width=WIDTH, seed=0).parent
    data, presave = root / "hub" / "data" / "yc2", root / "hub" / "presave" / "yc2"
    data.mkdir(parents=True)
    presave.mkdir(parents=True)
    for split in ("train", "val"):
        (data / f"{split}.json").write_bytes((made / f"{split}.json").read_bytes())
    store = open_features(str(made / "features.h5"), 1.0)
    ids = [video for split in ("train", "val") for video in json.loads((data / f"{split}.json").read_text())]
    torch.save({video: torch.from_numpy(store.read(video)) for video in ids}, data / "clipvitl14.pth")
    speech = json.loads((made / "speech.json").read_text())
    (data / "youcook2_asr_align_proc.pkl").write_bytes(pickle.dumps(speech))
    write_released(presave / "best_model.pth", weights, golden)
    settings = make_settings(root, golden, d_model=24, d_ff=16, d_kv=2)
    content = yaml.safe_load(settings.read_text())
    content["data"] |= {"name": "yc2", "annotations": {split: f"data/yc2/{split}.json" for split in ("train", "val")},
                        "features": "data/yc2/clipvitl14.pth", "speech": "data/yc2/youcook2_asr_align_proc.pkl"}
    content["memory"] = {"encoder": f"hashing:{WIDTH}"}
    content["predict"] = {"beams": 1, "max_tokens": 8}
    settings.write_text(yaml.safe_dump(content))
    bank = build_memory(load_config(settings, [f"data.annotations.train={data / 'train.json'}",
                                               f"memory.path={root / 'bank'}"]))
    export_bank(bank, root / "hub" / PICKLE, "released")
    return root


@pytest.fixture
def reproduce(mirror, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; returns status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def reproduce(*options: str, source: Path | str = mirror / "hub") -> tuple[int, str, str]:
        status = main(["reproduce", "yc2", "--config", str(mirror / "parity.yaml"), "--from", str(source), "--samples",
                       "20", *options])
        printed = capsys.readouterr()
        return status, printed.out, printed.err
    return reproduce


@pytest.fixture
def copy(mirror, tmp_path) -> Path:
    """A copy of the mirror that a test may damage."""
    return Path(shutil.copytree(mirror / "hub", tmp_path / "copy"))


def test_from_the_hub_to_the_verdict(reproduce, tmp_path):
    status, out, err = reproduce()
    assert status == 1, f"random weights score nothing like the paper: {err}"
    table = out[out.index("YouCook2, validation: released weights"):]
    assert table.count("DIFFERS") >= 4 and "71.84*" in table and "5 videos scored, 0 reference videos missing" in table
    record = json.loads((tmp_path / "presave/reproduce/yc2/record.json").read_text())
    assert record["dataset"] == "yc2" and record["command"] == "hicm reproduce yc2" and record["videos"] == 5
    run = tmp_path / "presave/reproduce/yc2/run"
    settings = load_config(run / "config.yaml")
    assert settings.preset == "released" and settings.retrieval.search == "top_only"
    assert not settings.room.mask_padding
    before = (run / "predictions_val.json").stat().st_mtime_ns
    again, out_again, _ = reproduce()
    assert again == 1 and out_again[out_again.index("YouCook2, validation"):] == table
    assert (run / "predictions_val.json").stat().st_mtime_ns == before, "nothing is captioned twice"
    assert main(["results", str(run.parent / "record.json"), "--out", "page.md"]) == 0
    assert "HiCM2, released weights, released behaviour" in Path("page.md").read_text()


def test_the_four_modes(reproduce, tmp_path):
    status, out, err = reproduce("--modes")
    assert status == 1 and "modes: presave/reproduce/yc2/modes/ablation.md" in out, err
    table = (tmp_path / "presave/reproduce/yc2/modes/ablation.md").read_text()
    assert re.findall(r"^\| (\w+) \| (own)? ?\|", table, re.MULTILINE) == [
        ("top_only", "own"), ("descend", "own"), ("zero", ""), ("none", "")]


def test_a_file_that_the_hub_lacks(reproduce, copy):
    (copy / "presave/yc2/best_model.pth").unlink()
    status, _, err = reproduce(source=copy)
    assert status == 2 and "best_model.pth" in err.splitlines()[-1]
    (copy / "data/yc2/train.json").unlink()
    status, _, err = reproduce(source=copy)
    assert status == 2 and err.splitlines()[-1].startswith("hicm: error: ") and ".json" in err.splitlines()[-1]


def test_a_file_that_changed_since(reproduce, copy):
    assert reproduce(source=copy)[0] == 1
    with open("data/yc2/val.json", "a") as stream:
        stream.write(" ")
    status, out, err = reproduce(source=copy)
    assert status == 2 and "data/yc2/val.json" in err + out and "changed since it was fetched" in err + out


def test_a_server_that_drops(reproduce, mirror, monkeypatch):
    """The connection ends in the middle of the weights: the same command continues there, by whole chunks."""
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 8192)
    files = {f"/m/{path.relative_to(mirror / 'hub')}": path.read_bytes()
             for path in (mirror / "hub").rglob("*") if path.is_file()}
    best = "/m/presave/yc2/best_model.pth"
    with serve_hub(files) as server:
        server.drop[best] = [20_000, (503,)]
        status, _, err = reproduce(source=f"{server.url}/m")
        assert status == 2 and "best_model.pth" in err.splitlines()[-1] and not Path("presave/reproduce").exists()
        assert reproduce(source=f"{server.url}/m")[0] == 1
        assert server.gets(best)[-1].start > 0, "it went on where it broke off"
    assert Path(best.removeprefix("/m/")).read_bytes() == files[best]


def test_what_cannot_be_reproduced(reproduce, capsys):
    assert main(["reproduce", "anet"]) == 2
    assert "anet: no published scores to compare with; known are yc2, vitt" in capsys.readouterr().err
