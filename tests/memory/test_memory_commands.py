"""`hicm memory ...` as typed, on a memory of a few made-up videos."""

import json

import pytest

from hicm.cli import main
from hicm.memory.bank import load_bank
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(settings file, bank folder)"""
    folder = tmp_path_factory.mktemp("tiny")
    return make_tiny(folder), folder / "bank"


@pytest.fixture
def say(capsys):
    def say(*words) -> str:
        assert main([*map(str, words)]) == 0
        return capsys.readouterr().out
    return say


@pytest.fixture
def refuse(capsys):
    def refuse(*words) -> str:
        assert main([*map(str, words)]) == 2
        return capsys.readouterr().err
    return refuse


def test_looking(tiny, say, tmp_path):
    config, bank = tiny
    assert say("memory", "stats", bank).startswith(f"{bank}\n")
    assert json.loads(say("memory", "stats", bank, "--json"))
    text = load_bank(bank).leaves.texts[0]
    assert f"1.00  {text}" in say("memory", "search", config, *text.split())
    assert f"1.00  {text}" in say("memory", "search", bank, text), "a hashing encoder is known by its name"
    assert "0:00.0 - " in say("memory", "search", config, "--video", json.loads(
        (config.parent / "data/val.json").read_text()).popitem()[0], "--set", "data.report=val")
    assert json.loads(say("memory", "search", config, "salt", "--json"))["query"] == "salt"
    page = tmp_path / "map.html"
    assert say("memory", "map", bank, "--out", page) == f"{page}\n" and page.stat().st_size > 1000


def test_changing(tiny, say, refuse, tmp_path):
    config, bank = tiny
    same = "the banks are identical"
    assert say("memory", "export", bank, tmp_path / "b.pkl", "--format", "released") == f"{tmp_path / 'b.pkl'}\n"
    encoder = load_bank(bank).info["encoder"]
    options = ["--encoder", encoder, "--embed-captions", "--annotations", config.parent / "data/train.json"]
    say("memory", "import", tmp_path / "b.pkl", tmp_path / "again", *options)
    assert "adjusted Rand index 1.000" in say("memory", "diff", bank, tmp_path / "again")
    assert "identical" in say("memory", "diff", bank, bank), same
    say("memory", "merge", tmp_path / "both", bank, tmp_path / "again")
    assert len(load_bank(tmp_path / "both").leaves) == 2 * len(load_bank(bank).leaves)
    assert "holds" in refuse("memory", "import", tmp_path / "b.pkl", tmp_path / "again", "--encoder", encoder)
    assert "--embed-captions needs --encoder" in refuse("memory", "import", "x.pkl", "y", "--embed-captions")


def test_asking_for_nothing(tiny, refuse):
    config, bank = tiny
    assert "give either a text or --video ID" in refuse("memory", "search", config)
    assert "give either a text or --video ID" in refuse("memory", "search", config, "salt", "--video", "v")
    assert "settings file" in refuse("memory", "search", bank, "--video", "v")
    assert "memory bank not found" in refuse("memory", "stats", bank.parent / "none")
    for command in (["export", bank, "x", "--format", "pdf"], ["map", bank.parent], ["diff", bank, "none"]):
        assert refuse("memory", *command).startswith("hicm: error: ")


def test_other_sources(tiny, say, refuse, tmp_path, monkeypatch):
    config, _ = tiny
    text = tmp_path / "mine.txt"
    text.write_text("peel an orange\n\nSchäle eine Orange\n", encoding="utf-8")
    monkeypatch.chdir(config.parent)
    place = ["--set", f"memory.path={tmp_path / 'm'}"]
    out = say("memory", "build", config, "--source", "train", text, "tiny/val", *place)
    bank = load_bank(out.strip())
    counts = [len(json.loads((config.parent / f"data/{split}.json").read_text())) for split in ("train", "val")]
    assert len(set(bank.leaves.videos)) == sum(counts) + 1
    at = bank.leaves.texts.index("Schäle eine Orange")
    assert (bank.leaves.videos[at], bank.leaves.sentences[at]) == ("mine.txt", 2)
    assert bank.info["sources"] == ["train", str(text), "tiny/val"]
    assert [file["file"] for file in bank.info["annotations"]] == ["train.json", "mine.txt", "val.json"]
    for source, error in (("tiny/none", "no files for split 'none'"), ("other/val", "no settings file other.yaml"),
                          ("none.json", "captions not found"), ("none", "no files for split 'none'")):
        assert error in refuse("memory", "build", config, "--source", source)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    assert "file of captions is not UTF-8 text" in refuse("memory", "build", config, "--source", tmp_path / "latin.txt")


@pytest.mark.parametrize("settings", [["hierarchy=kmeans"], ["hierarchy=agglomerative", "branching=3", "top=2"],
                                      ["neighbours=exact"], ["summariser=centroid"]])
def test_other_ways_to_build(tiny, say, tmp_path, settings):
    config, _ = tiny
    options = [word for setting in settings for word in ("--set", f"memory.{setting}")]
    out = say("memory", "build", config, *options, "--set", f"memory.path={tmp_path / 'm'}")
    assert load_bank(out.strip()).depth >= 1
    assert say("memory", "build", config, *options, "--set", f"memory.path={tmp_path / 'm'}") == out
    (tmp_path / "m" / "bank.json").unlink()
    plan = say("memory", "build", config, *options, "--set", f"memory.path={tmp_path / 'm'}", "--dry-run")
    assert "no language model is asked" in plan
