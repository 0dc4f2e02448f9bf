"""The grid of memory ablations: its cells, one trained grid, one evaluated grid, and how it goes on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hicm import verbs
from hicm.cli import main
from hicm.errors import UserError
from hicm.recipes.ablation.grid import SEARCHES, Cell, make_grid, slug
from tests.tiny import make_tiny

OPTIONS = ["--metrics", "F1", "soda_d", "--samples", "50"]


def test_the_whole_grid():
    cells = make_grid(SEARCHES, ["all", "1", "top"], {"medoid": 3, "openai:a/b": 2})
    names = [cell.name for cell in cells]
    assert names[:2] == ["none", "zero"] and len(set(names)) == len(names)
    assert len(cells) == 2 + 2 * (3 * 3 + 2), "a flat search of all levels is that of the finest"
    assert "descend-openai_a_b-all" in names and "flat-medoid-3" in names
    assert Cell("flat", "medoid", (3,)).overrides == ["retrieval.search=flat", "retrieval.flat_level=3"]
    assert Cell("descend", "medoid", (1, 3)).overrides == ["retrieval.search=descend", "retrieval.levels=[1, 3]"]


@given(st.lists(st.sampled_from(["all", "top", "1", "2", "1,2", "2,1"]), min_size=1),
       st.lists(st.sampled_from(SEARCHES), min_size=1))
def test_no_cell_stands_twice(levels, searches):
    cells = make_grid(searches, levels, {"medoid": 2})
    assert len({tuple(cell.overrides) for cell in cells}) == len(cells) == len({cell.name for cell in cells})


def test_captions_are_level_0():
    flat, descend = make_grid(["flat", "top_only", "descend"], ["0"], {"medoid": 2})
    assert (flat.levels, descend.levels) == ((0,), (0,))


@pytest.mark.parametrize(("searches", "levels", "message"), [
    (["descent"], ["all"], "unknown search 'descent'; expected some of none, zero, random"),
    (["descend"], ["4"], r"level '4': expected all, top, or numbers from 0 \(captions\) and 1 \(finest\) to 3"),
    (["descend"], ["-1"], "level '-1'"), (["flat"], ["1;2"], "level '1;2'"),
])
def test_what_is_no_grid(searches, levels, message):
    with pytest.raises(UserError, match=message):
        make_grid(searches, levels, {"medoid": 3})


def test_slugs():
    assert slug("transformers:/models/Llama 3") == "transformers_models_Llama_3"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), train__epochs=1, train__eval_every=0,
                     captioner__decode__max_tokens=12)


def test_a_grid_is_trained_and_continued(tiny, tmp_path, capsys):
    out = tmp_path / "grid"
    command = ["memory", "ablate", str(tiny), "--out", str(out), "--search", "none", "descend", "--levels", "top",
               "--summariser", "medoid", *OPTIONS]
    assert main([*command, "--dry-run"]) == 0 and not (out / "none").exists()
    listed = capsys.readouterr().out
    assert listed.startswith(f"would train 2 cells in {out}\n  none\n  descend-medoid-")
    assert main(command) == 0
    assert capsys.readouterr().out.endswith(f"{out}/ablation.md\n")
    table = (out / "ablation.md").read_text()
    assert table.count("\n| none |") == table.count("\n| descend | medoid |") == 1 and "95 % intervals over 3" in table
    entries = json.loads((out / "ablation.json").read_text())
    assert [entry["search"] for entry in entries] == ["none", "descend"]
    for entry in entries:
        for score in entry["scores"].values():
            assert score["low"] <= score["score"] <= score["high"]
    assert entries[1]["scores"]["F1"]["difference"] == pytest.approx(
        entries[1]["scores"]["F1"]["score"] - entries[0]["scores"]["F1"]["score"])
    assert (out / "ablation.png").read_bytes().startswith(b"\x89PNG")
    assert main([*command, "--set", "train.lr=1"]) == 2
    assert "none: was made with other settings; remove it, or choose another --out" in capsys.readouterr().err
    before = {path: path.read_bytes() for path in out.glob("ablation.*")}
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    assert main(command) == 0
    assert written and {path: path.stat().st_mtime_ns for path in written} == written, "nothing was trained again"
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_is_evaluated_in_every_cell(tiny, tmp_path, capsys):
    run = tmp_path / "run"
    verbs.train(str(tiny), out=str(run))
    command = ["memory", "ablate", str(run), "--search", "none", "zero", "descend", "--summariser", "centroid",
               "--levels", "all", *OPTIONS]
    assert main(command) == 0
    out = run / "ablation"
    assert "the captioner of" in (out / "ablation.md").read_text()
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["banks", "descend-centroid-all", "none",
                                                                            "zero"]
    without = tmp_path / "without"
    verbs.train(str(tiny), out=str(without), set_=["retrieval.search=none"])
    capsys.readouterr()
    assert main(["memory", "ablate", str(without), *OPTIONS]) == 2
    assert "was trained without a memory and cannot read one" in capsys.readouterr().err
    assert main(["memory", "ablate", str(tmp_path), *OPTIONS]) == 2
    assert "run not found" in capsys.readouterr().err
    assert main(["memory", "ablate", str(run), "--search", "none", "--metrics", "BLEURT"]) == 2
    assert "BLEURT" in capsys.readouterr().err
