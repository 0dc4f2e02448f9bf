"""The moments system in training and prediction: what it says about queries, and what it refuses."""

import numpy as np
import pytest

from hicm.config import load_config
from hicm.data.features import open_features, write_features
from hicm.data.samples import open_samples
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.rooms import check_settings, room_findings
from hicm.strict import setting_names
from hicm.systems.base import find_system
from hicm.systems.moments import __file__ as room
from hicm.systems.moments.settings import Settings
from tests.rooms.conftest import hicm
from tests.tiny import WIDTH

ROWS = {"aaaaaaaaaaa": 14, "bbbbbbbbbbb": 9, "ccccccccccc": 11}
TINY = {"words": f"each:hashing:{WIDTH}", "classes": 5, "queries": 4, "width": 32, "hidden": 32, "heads": 2,
        "word_layers": 1, "sentence_layers": 1, "aligner_layers": 1, "encoder_layers": 1, "sentences": 2}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Three videos; one has three sentences, one of them at two places, and one that starts after its video."""
    folder = tmp_path_factory.mktemp("moments")
    rng = np.random.default_rng(0)
    for name, width in (("features", WIDTH), ("more", 3)):
        write_features(folder / f"{name}.h5", {video: rng.standard_normal((rows, width))
                                               for video, rows in ROWS.items()})
    content = {video: {"duration": rows + 0.5, "timestamps": [[0, 4], [6, 2], [5, 8], [6, 9], [99, 100]],
                       "sentences": ["a dog sits", "it eats", "a dog sits", "somebody walks", "too late"]}
               for video, rows in ROWS.items()}
    content["ccccccccccc"] = {"duration": 11.5, "timestamps": [], "sentences": []}
    write_json(folder / "train.json", content)
    write_json(folder / "val.json", {"aaaaaaaaaaa": content["aaaaaaaaaaa"], "ccccccccccc": content["ccccccccccc"]})
    data = {"name": "x", "annotations": {split: [str(folder / f"{split}.json")] for split in ("train", "val")},
            "features": str(folder / "features.h5"), "frames": 10}
    write_json(folder / "settings.yaml", {
        "system": "moments", "data": data, "moments": TINY,
        "train": {"epochs": 1, "batch": 2, "eval_every": 0, "lr": 1e-3, "log_every": 1}})
    return folder / "settings.yaml"


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    assert hicm("train", settings, "--out", folder) == 0
    return folder


def test_every_file_and_setting_of_the_room_is_listed():
    from pathlib import Path

    folder = Path(room).parent
    page = (folder / "README.md").read_text(encoding="utf-8")
    files = {path.name + "/" * path.is_dir() for path in folder.iterdir() if not path.name.startswith("_")}
    missing = [name for name in files - {"README.md"} | set(setting_names(Settings).values()) - {"objective", "decode"}
               if f"`{name}`" not in page]
    assert not missing


def test_training_items(settings):
    """At most two queries each; none for moments outside the video, or for videos without sentences."""
    config = load_config(settings)
    system = find_system("moments").prepare(config, settings.parent, open_samples(config.data, "train"))
    [batch] = system.batches([[(0, place) for place in range(system.size)]])
    asked = dict(zip(batch.queries, range(8), strict=True))
    assert system.size == 4 and sorted(asked) == ["1", "2", "3", "4", "6", "7", "8", "9"], "numbers in the file"
    assert {query: batch.texts[row] for query, row in asked.items()} == {
        "1": "a dog sits", "2": "it eats", "3": "a dog sits", "4": "somebody walks",
        "6": "a dog sits", "7": "it eats", "8": "a dog sits", "9": "somebody walks"}
    assert batch.ids == ("aaaaaaaaaaa",) * 2 + ("bbbbbbbbbbb",) * 2 and batch.lengths.tolist() == [10, 10, 9, 9]
    assert system.groups() == [0, 0, 1, 1]
    np.testing.assert_allclose(batch.windows[asked["1"]], [[2 / 14.5, 4 / 14.5]], rtol=1e-5)
    np.testing.assert_allclose(batch.windows[asked["2"]], [[4 / 14.5, 4 / 14.5]], rtol=1e-5)
    assert batch.counts.tolist() == [1] * 8
    relevant = {query: batch.relevant[row].nonzero().squeeze(1).tolist() for query, row in asked.items()}
    assert relevant["2"] == [1, 2, 3, 4], "14 rows are pooled to 10 of 1.4 s"
    assert relevant["7"] == [2, 3, 4, 5, 6]
    assert set(batch.labels[batch.unknown].tolist()) == {system.vocabulary.unknown}


def test_predictions_hold_every_query(run):
    assert hicm("predict", run, "--set", "moments.decode.moments=3", "--out", run / "p.json") == 0
    results = read_json(run / "p.json")["results"]
    assert [(one["qid"], one["query"]) for one in results["aaaaaaaaaaa"]] == [
        ("1", "a dog sits"), ("2", "it eats"), ("3", "a dog sits"), ("4", "somebody walks")]
    assert results["ccccccccccc"] == []
    for one in results["aaaaaaaaaaa"]:
        assert len(one["windows"]) == 3 and len(one["saliency"]) == 7
        assert all(0 <= start <= end <= 14.5 and 0 < score < 1 for start, end, score in one["windows"])
    assert hicm("predict", run) == 0
    all_four = read_json(run / "predictions_val.json")["results"]["aaaaaaaaaaa"]
    assert [one["windows"][:3] for one in all_four] == [one["windows"] for one in results["aaaaaaaaaaa"]]


def test_streams_are_read_and_part_of_the_inputs(settings, run, tmp_path, capsys):
    more = settings.parent / "more.h5"
    out = tmp_path / "run"
    assert hicm("train", settings, "--set", f"data.streams=[{more}]", "--out", out) == 0
    assert hicm("predict", out) == 0
    other = write_features(tmp_path / "other.h5", {video: x[::-1] for video in ROWS
                                                   for x in [open_features(more).read(video)]})
    capsys.readouterr()
    assert hicm("predict", out, "--set", f"data.streams=[{other}]") == 2
    assert "features of val" in capsys.readouterr().err
    assert hicm("predict", run, "--set", f"data.streams=[{more}]", "--out", tmp_path / "p.json") == 2
    assert f"features are {WIDTH + 3} wide, the model reads {WIDTH}" in capsys.readouterr().err


def test_sentences_cannot_be_sought_in_parts_of_a_video(run, capsys):
    assert hicm("predict", run, "--set", "data.longest=11", "--out", run / "parts.json") == 2
    assert "data.longest=11: sentences cannot be used in parts of a video; set data.longest=0" in (
        capsys.readouterr().err)


def test_other_word_vectors_are_refused(run, settings, tmp_path):
    config = load_config(settings, ["moments.words=each:hashing:7"])
    with pytest.raises(UserError, match=r"was trained with the word vectors each:hashing:24, found each:hashing:7; set "
                                        r"moments\.words to those"):
        find_system("moments").load(run / "last", config)


@pytest.mark.parametrize(("overrides", "what"), [
    (["moments.width=30"], r"moments\.width=30: expected an even multiple of moments\.heads=4"),
    (["moments.objective.label=0"], "no windows are learnt"),
    (["moments.grouping=youtube"], "compares the moments of one video")])
def test_settings_that_cannot_be_trained(settings, overrides, what):
    with pytest.raises(UserError, match=what):
        check_settings(load_config(settings, ["moments.heads=4", *overrides]))


def test_data_without_sentences_are_refused(settings, tmp_path, capsys):
    write_json(tmp_path / "none.json", {"aaaaaaaaaaa": {"duration": 14.5, "timestamps": [[20, 30]],
                                                        "sentences": ["too late"]}})
    assert hicm("train", settings, "--set", f"data.annotations.train=[{tmp_path / 'none.json'}]", "--out",
                tmp_path / "run") == 2
    assert "split train: no sentences with moments to learn from" in capsys.readouterr().err


def test_what_is_lost_is_said(settings):
    config = load_config(settings, ["moments.queries=1", "moments.max_words=3"])
    samples = open_samples(config.data, "train")
    found = room_findings(config, "train", samples.videos, samples.speech, WIDTH, settings.parent)
    assert [str(one) for one in found] == [
        "1 of 3 videos have no sentences: ccccccccccc; nothing is learnt from them or found in them",
        "2 of 3 videos have sentences without a moment within the video: aaaaaaaaaaa (1), bbbbbbbbbbb (1); these "
        "sentences are not learnt"]
    [*_, long] = room_findings(load_config(settings, ["moments.words=clip:ViT-B-32/openai", "moments.max_words=4"]),
                               "train", samples.videos, samples.speech, WIDTH, settings.parent)
    assert "2 of 3 videos have a sentence with more than 2 words: aaaaaaaaaaa (3), bbbbbbbbbbb (3)" in str(long)
    [*_, note] = room_findings(load_config(settings, ["moments.words=glove:none.txt"]), "train", samples.videos,
                               samples.speech, WIDTH, settings.parent)
    assert "not counted: words of sentences (none.txt: file of word vectors not found" in str(note)


def test_tags_weigh_words(settings, tmp_path, capsys):
    write_json(tmp_path / "tags.json", {"a dog sits": ["DT", "NN", "VBZ"], "it eats": ["PRP", "VBZ"],
                                        "somebody walks": ["NN", "VBZ"]})
    config = load_config(settings, [f"moments.tags={tmp_path / 'tags.json'}"])
    system = find_system("moments").prepare(config, tmp_path, open_samples(config.data, "train"))
    [batch] = system.batches([[(0, 0), (0, 1)]])
    weights = dict(zip(batch.texts, batch.weights.tolist(), strict=True))
    assert weights == {"a dog sits": [1, 2, 2], "it eats": [1, 2, 0], "somebody walks": [2, 2, 0]}


def test_files_of_words_that_training_cannot_use(settings, tmp_path, capsys):
    """They are said by `hicm data check`, as by training."""
    (tmp_path / "counts.txt").write_text("320 9\n14132 4\n")  # pieces of words
    write_json(tmp_path / "tags.json", {"a dog sits": "DT NN VBZ"})
    assert hicm("data", "check", settings, "--set", f"moments.counts={tmp_path / 'counts.txt'}", "--set",
                f"moments.tags={tmp_path / 'tags.json'}") == 1
    said = capsys.readouterr().out
    assert "counts.txt: counts pieces of words as CLIP numbers them" in said and "2 error(s)" in said
    assert "tags.json: expected {sentence: [tag of each word, ...]}" in said
