"""`hicm reproduce` of CM2 and PDVC from beginning to end, on made-up clones of their repositories."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from hicm.cli import main
from hicm.config import load_config
from hicm.data.features import open_features
from hicm.data.samples import open_samples
from hicm.memory.exports import export_bank
from hicm.recipes.released_files import CLONES
from tests.released_parallel import SIZES, make_model, released_state, write_checkpoint, write_info, write_words
from tests.tiny import make_tiny

CM2, PDVC = CLONES["cm2_yc2"], CLONES["pdvc_anet"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Clones with the downloads in them, and settings files, all small."""
    root = tmp_path_factory.mktemp("clones")
    tiny = make_tiny(root, videos=3, parallel={**SIZES, "decode": {"max_words": 6}})
    config = load_config(tiny)
    ids = open_samples(config.data, "val", captions=False).ids
    features = open_features(config.data.features)
    [truth] = config.data.annotations["val"]
    for clone in (CM2, PDVC):
        folder, memory = root / clone.folder, clone.bank is not None
        for one in clone.annotations:
            (folder / one.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(truth, folder / one.path)
        write_words(folder / clone.words.path)
        write_info(write_checkpoint(folder / clone.checkpoint.path, released_state(make_model(memory))))
        rows = {video: torch.from_numpy(features.read(video)) for video in ids}
        (folder / clone.features.path).parent.mkdir(parents=True, exist_ok=True)
        if memory:
            export_bank(config.bank, folder / clone.bank.path, "cm2")
            for path in (folder / clone.bank.path).iterdir():
                path.rename(path.with_name("yc2_" + path.name.split("_", 1)[1]))
            torch.save(rows, folder / clone.features.path)
        else:
            (folder / clone.features.path).mkdir()
            for video, one in rows.items():
                torch.save(one, folder / clone.features.path / f"{video}.pt")
    content = yaml.safe_load(tiny.read_text()) | {"system": "parallel"}
    del content["memory"]["path"], content["data"]["annotations"], content["data"]["features"]
    (root / "recipe.yaml").write_text(yaml.safe_dump(content))
    return root


@pytest.fixture
def reproduce(made, tmp_path, monkeypatch, capsys):
    """Run the command in an empty folder; returns status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def reproduce(name: str, folder: Path, *options: str) -> tuple[int, str, str]:
        status = main(["reproduce", name, "--config", str(made / "recipe.yaml"), "--from", str(folder), "--samples",
                       "5", *options])
        printed = capsys.readouterr()
        return status, printed.out, printed.err
    return reproduce


def test_cm2_from_a_clone_to_the_verdict(reproduce, made):
    status, out, err = reproduce("cm2_yc2", made / CM2.folder)
    assert status == 1, f"random weights score nothing like the paper: {err}"
    table = out[out.index("YouCook2 without speech, validation: released weights of CM2"):]
    assert "31.66 " in table and "24.76*" in table and "proto:activitynet-2018|" in table and "F1_of_means" in table
    assert "3 videos scored, 0 reference videos missing" in table and table.count("DIFFERS") >= 5
    assert table.count("not the file of the repository's last commit") == 2, "annotations and words are made up"
    run = Path("presave/reproduce/cm2_yc2/run")
    settings, record = load_config(run / "config.yaml"), json.loads((run.parent / "record.json").read_text())
    assert settings.preset == "released" and settings.retrieval.search == "flat" and settings.retrieval.flat_level == 0
    assert record["name"] == "CM2, released weights, released behaviour" and record["videos"] == 3
    before = (run / "predictions_val.json").stat().st_mtime_ns
    assert reproduce("cm2_yc2", made / CM2.folder)[0] == 1
    assert (run / "predictions_val.json").stat().st_mtime_ns == before, "nothing is captioned twice"
    assert main(["results", str(run.parent / "record.json"), "--out", "page.md"]) == 0
    page = Path("page.md").read_text()
    part = page[page.index("## YouCook2 without speech"):]
    assert "| CM2, released weights, released behaviour |" in part[:part.index("\n## ")]


@pytest.mark.slow
def test_the_control_of_the_memory(reproduce, made):
    status, out, err = reproduce("cm2_yc2", made / CM2.folder, "--modes")
    assert status == 1 and "modes: presave/reproduce/cm2_yc2/modes/ablation.md" in out, err
    table = Path("presave/reproduce/cm2_yc2/modes/ablation.md").read_text()
    assert re.findall(r"^\| (\w+) \| (?:own)? ?\|", table, re.MULTILINE) == ["flat", "zero", "none"]


def test_pdvc_from_a_clone_to_the_verdict(reproduce, made):
    assert "--modes: PDVC on TSP features reads no memory" in reproduce("pdvc_anet", made / PDVC.folder, "--modes")[2]
    status, out, err = reproduce("pdvc_anet", made / PDVC.folder)
    assert status == 1 and "released weights of PDVC on TSP features" in out, err
    assert "31.14 " in out and "refs:2@" in out, "two annotators"
    settings = load_config(Path("presave/reproduce/pdvc_anet/run/config.yaml"))
    assert settings.retrieval.search == "none" and settings.data.frames == 100


def test_what_is_missing_is_named_with_its_source(reproduce, made, tmp_path):
    copy = shutil.copytree(made / CM2.folder, tmp_path / "clone")
    (copy / CM2.checkpoint.path).unlink()
    (copy / "bank/yc2/clip/yc2_scene_videoID.npy").unlink()
    status, _, err = reproduce("cm2_yc2", copy)
    line = err.splitlines()[-1]
    assert status == 2 and "save/yc2_clip_cm2_best/model-best.pth (weights: https://drive.google.com/file/" in line
    assert "bank/yc2/clip/yc2_scene_videoID.npy (memory: https://drive.google.com/drive/folders/" in line
    assert not Path("presave").exists()
    status, _, err = reproduce("cm2_yc2", tmp_path / "nowhere")
    assert status == 2 and "git clone https://github.com/ailab-kyunghee/CM2_DVC" in err.splitlines()[-1]


def test_published_rows_of_every_clone_name_what_is_measured():
    from hicm.results.published import find_benchmark

    for name in CLONES:
        benchmark = find_benchmark(name)
        assert benchmark.protocol == "activitynet-2018" and benchmark.command == f"hicm reproduce {name}"
        assert set(benchmark.tolerance) >= set(benchmark.released.scores), name
