"""The recipes of CM2 and PDVC on small files in the forms of their repositories, and what can be wrong with these.

Annotations name videos with ``v_`` or without, features are half-precision tensors in one ``.pth`` file, ActivityNet
has two reference sets, the vocabulary holds ``<bos>``, ``<eos>`` and ``UNK``, and CM2's bank is three arrays.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from hicm.cli import main
from hicm.config import changes, load_config
from hicm.data.samples import open_samples
from hicm.files import read_json, write_json
from hicm.memory.bank import load_bank
from hicm.systems.parallel.dataset import VideoDataset
from hicm.systems.parallel.vocabulary import load_vocabulary, split

WIDTH = 16
RECIPES = ("cm2_yc2", "cm2_anet", "pdvc_yc2", "pdvc_anet")
LATER = ("cm2_anet", "pdvc_yc2")  # the other two have every setting of theirs
TEXTS = ("Chop the onion, finely.", "Fry the onion in oil.", "Add salt and stir.", "Serve it on a plate!")
LENGTHS = {"v_aaaaaaaaaaa": 7, "v_bbbbbbbbbbb": 4, "v_ccccccccccc": 9}


def entry(rows: int) -> dict:
    """Three events of a video of so many seconds, not in order of time."""
    return {"duration": rows + 0.5, "timestamps": [[2, rows], [0, 2.5], [1, 3]], "sentences": list(TEXTS[:3])}


@pytest.fixture
def published(tmp_path, monkeypatch) -> Path:
    """The files, where the recipes expect them, in the current folder."""
    monkeypatch.chdir(tmp_path)
    train = {video: entry(rows) for video, rows in list(LENGTHS.items())[:2]}
    val = {"v_ccccccccccc": entry(9)}
    for name, bare in (("yc2/captiondata/train", train), ("yc2/captiondata/val", val)):
        write_json(tmp_path / f"data/{name}.json", {video[2:]: about for video, about in bare.items()})
    other = {"v_ccccccccccc": entry(9) | {"timestamps": [[0, 4]], "sentences": [TEXTS[3]]}}
    for name, content in (("train", train), ("val_1", val), ("val_2", other)):
        write_json(tmp_path / f"data/anet/{name}.json", content)
    rng = np.random.default_rng(0)
    rows = {video: torch.from_numpy(rng.standard_normal((count, WIDTH))).half() for video, count in LENGTHS.items()}
    torch.save({video[2:]: x for video, x in rows.items()}, tmp_path / "data/yc2/clipvitl14.pth")
    torch.save(rows, tmp_path / "data/anet/clipvitl14.pth")
    words = [*sorted({word for text in TEXTS for word in split(text)}), "<bos>", "<eos>", "UNK"]
    named = {str(place): word for place, word in enumerate(words, start=1)}
    write_json(tmp_path / "words.json", {"word_to_ix": {w: int(i) for i, w in named.items()}, "ix_to_word": named})
    texts = [(text, video) for video in list(LENGTHS)[:2] for text in TEXTS[:3]]
    (tmp_path / "bank").mkdir()
    np.save("bank/x_clip_token_embeds.npy", rng.standard_normal((len(texts), 1, WIDTH)).astype(np.float16))
    np.save("bank/x_scene_sentences.npy", np.array([text for text, _ in texts]))
    np.save("bank/x_scene_videoID.npy", np.array([video for _, video in texts]))
    return tmp_path


SMALL = ("parallel.width=32", "parallel.hidden=32", "parallel.heads=2", "parallel.levels=2", "parallel.points=2",
         "parallel.queries=6", "parallel.decode.max_words=5", "train.workers=0", "memory.path=ours", "data.frames=8",
         "train.log_every=1", "train.epochs=1", "train.eval_start=1", "parallel.vocabulary=words.json")
WINDOWS = ("retrieval.windows=3", "retrieval.top_k=2", "data.frames=0")


def settings(recipe: str, *more: str) -> list[str]:
    """The options that make a recipe small enough for the test."""
    chosen = [*SMALL, *(WINDOWS if recipe.startswith("cm2") else ()), *more]
    return [part for setting in chosen for part in ("--set", setting)]


@pytest.mark.parametrize("recipe", [pytest.param(name, marks=pytest.mark.slow if name in LATER else ())
                                    for name in RECIPES])
def test_a_recipe_trains_on_files_in_the_published_forms(published, recipe, capsys):
    memory = recipe.startswith("cm2")
    if memory:
        assert main(["memory", "import", "bank", "ours", "--encoder", "openclip:ViT-L-14/openai"]) == 0
        bank = load_bank("ours")
        assert bank.leaves.embeddings.shape == (6, WIDTH) and bank.leaves.embeddings.dtype == np.float16
    assert main(["data", "check", recipe, *settings(recipe)]) == 0
    assert "ok: 0 error(s), " in capsys.readouterr().out
    assert main(["train", recipe, *settings(recipe, *(["preset=released"] if memory else [])), "--out", "run"]) == 0
    log = [json.loads(line) for line in Path("run/stats.jsonl").read_text().splitlines()]
    losses = [line for line in log if "loss" in line]
    assert [line["step"] for line in losses] == [1, 2] and all(np.isfinite(line["loss"]) for line in losses)
    [scores] = [line["metrics"] for line in log if "metrics" in line]
    assert scores["METEOR+soda_c"] == scores["METEOR"] + scores["soda_c"]
    assert read_json(Path("run/best/vocabulary.json"), "words") == read_json(Path("words.json"), "words")
    assert read_json(Path("run/manifest.json"), "manifest")["finished"]


def test_recipes_of_cm2_and_pdvc_set_what_their_option_files_say():
    """cfgs/{yc2,anet}_clip_cm2.yml, cfgs/yc2_tsn_pdvc.yml, cfgs/anet_c3d_pdvc.yml and what these inherit."""
    found = {}
    for name in ("cm2_yc2", "cm2_anet", "pdvc_yc2", "pdvc_anet"):
        config = load_config(name)
        room, train = config.room, config.train
        assert (config.system, config.evaluate.protocol, train.select_on) == (
            "parallel", "activitynet-2018", "METEOR+soda_c")
        assert (train.schedule, train.decay, train.clip, room.weight_decay) == ("step", 0.5, 100, 1e-4)
        assert train.decay_after == list(range(8, 29, 3)) and train.is_evaluated(30)
        assert changes(room.objective) == changes(room.decode) == {}
        assert config.retrieval.leave_own_out and not config.retrieval.leave_best_out
        found[name] = (config.data.frames, config.data.sampling, room.queries, room.max_events, room.rarest)
        as_released = load_config(name, ["preset=released"]).retrieval
        assert as_released.leave_best_out and not as_released.leave_own_out
    assert found == {"cm2_yc2": (0, "even", 100, 20, 2), "cm2_anet": (0, "even", 10, 20, 2),
                     "pdvc_yc2": (200, "nearest", 100, 20, 2), "pdvc_anet": (100, "nearest", 10, 10, 4)}


def test_features_are_used_as_stored_or_resampled_as_the_recipes_say(published):
    for recipe, frames in (("cm2_yc2", 0), ("cm2_anet", 0), ("pdvc_yc2", 200), ("pdvc_anet", 100)):
        config = load_config(recipe)
        samples = open_samples(config.data, "train")
        data = VideoDataset(samples, load_vocabulary("words.json"), config.data.frames, 28,
                            sampling=config.data.sampling)
        for row, count in enumerate((7, 4)):
            rows = data[0, row].rows
            assert rows.shape == (frames or count, WIDTH) and rows.dtype == np.float32
            np.testing.assert_array_equal(rows[[0, -1]], samples[row].rows[[0, -1]], "the first and the last row")
        assert data[0, 0].boxes.shape == (3, 2)


def refused(capsys, *arguments: str) -> str:
    """The one line with which a command ends, with status 2."""
    capsys.readouterr()
    assert main([*arguments]) == 2
    *_, said = capsys.readouterr().err.splitlines()
    return said


def test_a_vocabulary_whose_last_word_is_not_the_unknown_one_is_refused(published, capsys):
    words = read_json(Path("words.json"), "words")
    del words["ix_to_word"][str(len(words["ix_to_word"]))]
    write_json(Path("cut.json"), words)
    said = refused(capsys, "train", "pdvc_yc2", *settings("pdvc_yc2", "parallel.vocabulary=cut.json"))
    assert re.search(r"cut.json: ix_to_word: expected UNK, .* under the last id \d+, found '<eos>'; is the file", said)
    assert not Path("presave").exists(), "before anything is read"


def test_the_vocabulary_of_another_data_set_is_a_finding(published, capsys):
    words = ["drum", "guitar", "<bos>", "<eos>", "UNK"]
    write_json(Path("other.json"), {"ix_to_word": {str(i): word for i, word in enumerate(words, start=1)}})
    options = settings("pdvc_anet", "parallel.vocabulary=other.json")
    assert main(["data", "check", "pdvc_anet", *options]) == 0
    said = capsys.readouterr().out
    assert "train.json: 2 of 2 videos have words that the vocabulary lacks (26 of 26: onion, the, add" in said
    assert "name a larger parallel.vocabulary, or none; is it that of another data set?" in said


def test_features_of_another_width_are_refused(published, capsys):
    """A bank of CLIP's text vectors, and frames of C3D."""
    assert main(["memory", "import", "bank", "ours"]) == 0
    torch.save({video: torch.zeros(5, 10) + 1 for video in LENGTHS}, "data/anet/clipvitl14.pth")
    options = settings("cm2_anet")
    assert "features are 10 wide and the memory bank 16" in refused(capsys, "train", "cm2_anet", *options)
    assert main(["data", "check", "cm2_anet", *options]) == 1
    assert "error:" in capsys.readouterr().out
    torch.save({video: torch.ones(rows, 10 + rows // 9) for video, rows in LENGTHS.items()}, "data/anet/clipvitl14.pth")
    said = refused(capsys, "train", "pdvc_anet", *settings("pdvc_anet"), "--out", "run")
    assert said.endswith("v_ccccccccccc: expected rows of 10 numbers as in the first video, found 11; extract it again "
                         "with the same encoder")


def test_annotations_without_times_are_refused(published, capsys):
    """As those of a paragraph set, or of a test set without its captions."""
    for key in ("timestamps", "sentences"):
        file = Path("data/yc2/captiondata/train.json")
        whole = read_json(file, "annotations")
        write_json(file, {v: {k: x for k, x in about.items() if k != key} for v, about in whole.items()})
        said = refused(capsys, "train", "pdvc_yc2", *settings("pdvc_yc2"))
        assert f"train.json: video aaaaaaaaaaa: {key} is missing; see data/README.md for the format" in said
        write_json(file, whole)
    write_json(file, {"v_aaaaaaaaaaa": "A paragraph about the video."})
    assert "expected {duration, timestamps, sentences}, found text" in refused(
        capsys, "train", "pdvc_yc2", *settings("pdvc_yc2"))


def test_activitynet_with_one_reference_set(published, capsys):
    """A missing second file is refused; a single one is scored, and the scores say so."""
    Path("data/anet/val_2.json").unlink()
    assert "data/anet/val_2.json: annotation file not found" in refused(
        capsys, "train", "pdvc_anet", *settings("pdvc_anet"))
    assert main(["data", "check", "pdvc_anet", *settings("pdvc_anet")]) == 1
    options = settings("pdvc_anet", "data.annotations.val=data/anet/val_1.json")
    assert main(["train", "pdvc_anet", *options, "--out", "run"]) == 0
    assert main(["predict", "run"]) == 0 and main(["evaluate", "run"]) == 0
    said = read_json(Path("run/metrics_val.json"), "scores")
    assert "refs:1" in said["signature"].replace(" ", "")
