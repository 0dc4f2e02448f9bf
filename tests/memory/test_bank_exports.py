"""A bank in other forms, and back from those that can be imported."""

import csv
import dataclasses
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.errors import UserError
from hicm.files import read_json
from hicm.memory.bank import Bank, load_bank, save_bank
from hicm.memory.exports import export_bank
from hicm.memory.imports import import_bank
from tests.retrieval.naive_read import random_bank


@pytest.fixture
def bank() -> Bank:
    bank = random_bank(np.random.default_rng(1), captions=9)
    texts = ("one, \"quoted\"\nline", "été", *bank.leaves.texts[2:])
    return dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, texts=texts), info={"encoder": "e"})


@pytest.fixture
def folder(bank, tmp_path):
    return save_bank(bank, tmp_path / "bank")


def without_captions(bank: Bank) -> Bank:
    first = bank.levels[0]
    first = dataclasses.replace(first, children=(np.zeros(0, np.int64),) * len(first), authors=np.full(len(first), -1))
    others = (dataclasses.replace(level, authors=np.full(len(level), -1)) for level in bank.levels[1:])
    return Bank((first, *others))


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 20), st.booleans(), st.booleans())
@settings(max_examples=25)
def test_a_released_bank_comes_back(tmp_path_factory, seed, depth, captions, half, rooted):
    folder = tmp_path_factory.mktemp("trip")
    bank = random_bank(np.random.default_rng(seed), depth, captions, dtype=np.float16 if half else np.float32)
    bank = bank if rooted else without_captions(bank)
    path = export_bank(save_bank(bank, folder / "bank"), folder / "bank.pkl", "released")
    back = load_bank(import_bank(path, folder / "back"))
    for before, after in zip(bank.levels, back.levels, strict=True):
        assert after.texts == before.texts
        assert after.embeddings.dtype == before.embeddings.dtype
        assert np.array_equal(after.embeddings, before.embeddings)
        assert [ids.tolist() for ids in after.children] == [ids.tolist() for ids in before.children]
    assert (back.leaves.texts == bank.leaves.texts) if rooted else back.leaves is None
    again = export_bank(folder / "back", folder / "again.pkl", "released")
    assert again.read_bytes() == path.read_bytes()


def test_the_released_form_is_as_described(bank, folder, tmp_path):
    path = export_bank(folder, tmp_path / "bank.pkl", "released")
    content = pickle.loads(path.read_bytes())
    assert list(content) == ["level_1", "level_2", "level_3"]
    for number, level in enumerate(bank.levels, start=1):
        assert list(content[f"level_{number}"]) == [f"cluster_{node}" for node in range(len(level))]
        for node in range(len(level)):
            entry = content[f"level_{number}"][f"cluster_{node}"]
            below = bank.leaves if number == 1 else bank.levels[number - 2]
            assert sorted(entry["indices"]) == bank.leaves_of(number, node).tolist()
            assert entry["sentences"] == [below.texts[child] for child in level.children[node]]
            assert entry["parent_clusters"] == (None if number == 1 else level.children[node].tolist())
            assert entry["clip_embedding"].shape == (1, bank.width)


def test_numpy_1_can_read_it(folder, tmp_path):
    """It knows numpy.core, not numpy._core."""
    data = export_bank(folder, tmp_path / "bank.pkl", "released").read_bytes()
    names = {argument for opcode, argument, _ in pickletools.genops(data) if opcode.name == "GLOBAL"}
    assert names and not any(name.startswith("numpy._core") for name in names)
    assert any(name.startswith("numpy.core") for name in names)


def test_captions_come_back_from_the_cm2_form(bank, folder, tmp_path):
    out = export_bank(folder, tmp_path / "yc2", "cm2")
    assert sorted(path.name for path in out.iterdir()) == [
        "yc2_clip_token_embeds.npy", "yc2_scene_sentences.npy", "yc2_scene_videoID.npy"]
    stored = np.load(out / "yc2_clip_token_embeds.npy")
    assert stored.shape == (9, 1, bank.width) and stored.dtype == np.float16
    back = load_bank(import_bank(out, tmp_path / "back"))
    assert back.leaves.texts == bank.leaves.texts and back.leaves.videos == bank.leaves.videos
    assert np.array_equal(back.leaves.embeddings, bank.leaves.embeddings.astype(np.float16))


def test_json_lists_nodes_and_captions(bank, folder, tmp_path):
    content = read_json(export_bank(folder, tmp_path / "bank.json", "json"))
    assert content["info"] == {"encoder": "e"} and [x["text"] for x in content["captions"]] == list(bank.leaves.texts)
    assert len(content["nodes"]) == sum(map(len, bank.levels))
    for entry in content["nodes"]:
        level, node = bank.level(entry["level"]), entry["node"]
        assert entry["text"] == level.texts[node] and entry["children"] == level.children[node].tolist()
        assert entry["captions"] == len(bank.leaves_of(entry["level"], node))
        author = level.authors[node]
        assert entry["author"] == (None if author < 0 else f"{bank.leaves.videos[author]}#{author}")


def test_csv_has_a_row_a_caption(bank, folder, tmp_path):
    with open(export_bank(folder, tmp_path / "bank.csv", "csv"), newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["text"] for row in rows] == list(bank.leaves.texts)
    for leaf, row in enumerate(rows):
        assert (row["video"], int(row["sentence"])) == (bank.leaves.videos[leaf], bank.leaves.sentences[leaf])
        for number, level in enumerate(bank.levels, start=1):
            node = int(row[f"level_{number}"])
            assert node == bank.ancestors(number)[leaf] and row[f"level_{number}_text"] == level.texts[node]


def test_what_a_form_lacks_is_said(bank, folder, tmp_path):
    def expect(message: str, which, form: str, out: str = "out") -> None:
        with pytest.raises(UserError, match=message):
            export_bank(which, tmp_path / out, form)

    bare = save_bank(without_captions(bank), tmp_path / "bare")
    plain = dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, embeddings=None))
    texts = save_bank(plain, tmp_path / "texts")
    huge = dataclasses.replace(bank, leaves=dataclasses.replace(bank.leaves, embeddings=bank.leaves.embeddings * 1e6))
    expect("format 'xml': expected json, csv, released, cm2", folder, "xml")
    expect("memory bank not found", tmp_path / "nowhere", "json")
    expect("bare: holds no captions, which the csv format needs", bare, "csv")
    expect("bare: holds no captions, which the cm2 format needs", bare, "cm2")
    expect("texts: does not hold the embeddings of its captions", texts, "cm2")
    expect("the embedding of caption 0 is too large for float16", save_bank(huge, tmp_path / "huge"), "cm2")
    expect("bare: is a folder; name the json file", folder, "json", "bare")
    (tmp_path / "file").write_text("")
    expect("file: is a file; the cm2 format is a folder", folder, "cm2", "file")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", ["json", "csv", "released", "cm2"])
def test_no_export_takes_the_place_of_another_file(folder, tmp_path, form):
    (tmp_path / "link").symlink_to(folder / "bank.json")
    before = (folder / "bank.json").read_bytes()
    if form != "cm2":
        for own in (folder / "bank.json", folder / "bank.npz", tmp_path / "link"):
            with pytest.raises(UserError, match=r"belongs to the memory bank .* would be lost"):
                export_bank(folder, own, form, overwrite=True)
    assert (folder / "bank.json").read_bytes() == before
    out = export_bank(folder, tmp_path / "out", form)
    with pytest.raises(UserError, match="exists; write another file, or replace it with --overwrite"):
        export_bank(folder, out, form)
    assert export_bank(folder, out, form, overwrite=True) == out


def test_a_bank_without_captions_as_json(bank, tmp_path):
    bare = save_bank(without_captions(bank), tmp_path / "bare")
    assert read_json(export_bank(bare, tmp_path / "bare.json"))["captions"] == []
