"""Files of words in training: which of them are inputs, and what a saved model needs of them."""

import pickle

import numpy as np
import pytest

from hicm.config import load_config
from hicm.data.features import write_features
from hicm.data.samples import open_samples
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.rooms import room_findings, start_files
from hicm.stages.check import check_data
from hicm.systems.base import find_system
from tests.rooms.conftest import hicm

pytest.importorskip("nltk")

WORDS = ("dog", "sits", "eats", "a", "it")
TINY = {"classes": 3, "queries": 4, "width": 32, "hidden": 32, "heads": 2, "word_layers": 1, "sentence_layers": 1,
        "aligner_layers": 1, "encoder_layers": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two videos, word vectors in both forms, counts and parts of speech."""
    folder = tmp_path_factory.mktemp("words")
    rng = np.random.default_rng(0)
    write_features(folder / "features.h5", {video: rng.standard_normal((8, 6)) for video in ("one", "two")})
    write_json(folder / "train.json", {
        "one": {"duration": 8.0, "timestamps": [[0, 4], [5, 8]], "sentences": ["A dog sits.", "Nobody whistles"]},
        "two": {"duration": 8.0, "timestamps": [[1, 4]], "sentences": ["It eats the dog"]}})
    vectors = rng.standard_normal((len(WORDS), 6)).astype(np.float32)
    (folder / "glove.txt").write_text("".join(f"{word} {' '.join(map(str, vector))}\n"
                                              for word, vector in zip(WORDS, vectors.tolist(), strict=True)))
    (folder / "glove.pkl").write_bytes(pickle.dumps({
        "w2id": {word: number for number, word in enumerate(WORDS)}, "id2vec": list(vectors),
        "counter": {"eats": 1, "dog": 9, "sits": 3, "a": 2}}))
    (folder / "counts.txt").write_text("eats 3 9\nit 4 8\ndog 2 7\nsits 5 6\n")
    write_json(folder / "tags.json", {"words": "glove", "tags": {
        "A dog sits.": ["DT", "NN", "VBZ", "."], "It eats the dog": ["PRP", "VBZ", "DT", "NN"],
        "Nobody whistles": ["NN", "VBZ"]}})
    write_json(folder / "settings.yaml", {
        "system": "moments", "data": {
            "name": "x", "annotations": {split: [str(folder / "train.json")] for split in ("train", "val")},
            "features": str(folder / "features.h5")},
        "moments": {**TINY, "words": f"glove:{folder / 'glove.txt'}"},
        "train": {"epochs": 1, "batch": 2, "eval_every": 0, "lr": 1e-3, "log_every": 1}})
    return folder


def prepare(folder, *overrides):
    config = load_config(folder / "settings.yaml", list(overrides))
    return find_system("moments").prepare(config, folder, open_samples(config.data, "train"))


def batch_of(system):
    [batch] = system.batches([[(0, place) for place in range(system.size)]])
    return batch


def test_counts_decide_the_classes(folder):
    """The first words of the file in its order; without one, the most frequent ones of training."""
    system = prepare(folder, f"moments.counts={folder / 'counts.txt'}")
    assert system.vocabulary.words == ("eats", "it", "dog")
    assert batch_of(system).labels.tolist() == [[3, 2, 3, 3], [3, 3, 0, 0], [1, 0, 3, 2]]
    assert prepare(folder).vocabulary.words == ("dog", ".", "a")
    assert prepare(folder, f"moments.counts={folder / 'glove.pkl'}").vocabulary.words == ("dog", "sits", "a")


def test_counts_of_other_words_are_refused(folder, tmp_path):
    (tmp_path / "clip.txt").write_text("518 7\n")
    with pytest.raises(UserError, match=r"clip\.txt: counts pieces of words"):
        prepare(folder, f"moments.counts={tmp_path / 'clip.txt'}")
    (tmp_path / "other.txt").write_text("salt 2 7\n")
    with pytest.raises(UserError, match=r"other\.txt: none of its first 1 words is in a training sentence"):
        prepare(folder, f"moments.counts={tmp_path / 'other.txt'}")


def test_unknown_words_are_dropped_with_their_tags(folder):
    """From the pickle: tags stay with their words; a sentence without known words is one zero vector."""
    with pytest.warns(UserWarning, match="knows no word of 1 sentences"):
        system = prepare(folder, f"moments.words=glove_pickle:{folder / 'glove.pkl'}", "moments.classes=2",
                         f"moments.counts={folder / 'glove.pkl'}", f"moments.tags={folder / 'tags.json'}")
    batch = batch_of(system)
    assert system.vocabulary.words == ("dog", "sits") and batch.word_lengths.tolist() == [3, 1, 3]
    assert batch.labels.tolist() == [[2, 0, 1], [2, 0, 0], [2, 2, 0]], "a dog sits; nothing; it eats dog"
    assert batch.weights.tolist() == [[1, 2, 2], [2, 0, 0], [1, 2, 2]]
    assert not batch.words[1].any() and np.isclose(batch.words[0].norm(dim=1), 1, atol=1e-4).all()


def test_missing_tags_are_found_before_training(folder, tmp_path):
    """Also those of the last sentence, and where another package wrote a tag too few."""
    tags = read_json(folder / "tags.json")["tags"]
    write_json(tmp_path / "t.json", {text: tags[text] for text in list(tags)[:2]})
    with pytest.raises(UserError, match=r"t\.json: no tags for the sentence 'Nobody whistles'; tag the words as"):
        prepare(folder, f"moments.tags={tmp_path / 't.json'}")
    write_json(tmp_path / "t.json", tags | {"It eats the dog": ["PRP", "VBZ", "DT"]})
    with pytest.raises(UserError, match=r"3 tags for 4 words \(It, eats, the, dog\) for the sentence 'It eats"):
        prepare(folder, f"moments.tags={tmp_path / 't.json'}")


def test_what_is_dropped_is_said(folder):
    config = load_config(folder / "settings.yaml", [f"moments.words=glove_pickle:{folder / 'glove.pkl'}"])
    samples = open_samples(config.data, "train")
    found = room_findings(config, "train", samples.videos, samples.speech, 6, folder)
    assert [str(one) for one in found] == [
        "2 of 2 videos have sentences with words that moments.words has no vectors for: one (3), two (1); 4 words are "
        "not read, most often . 1, nobody 1, whistles 1, the 1",
        "1 of 2 videos have sentences of which moments.words knows no word: one (1); these are read as one word whose "
        "vector is zero; reword them"]


def test_files_of_words_are_inputs_of_training(folder, tmp_path):
    """Known by their content, wherever they are."""
    out, moved = tmp_path / "run", {}
    for name in ("glove.txt", "counts.txt", "tags.json"):
        moved[name] = tmp_path / name
        moved[name].write_bytes((folder / name).read_bytes())

    def command(files):
        return ("train", folder / "settings.yaml", "--out", out, "--set", f"moments.words=glove:{files['glove.txt']}",
                "--set", f"moments.counts={files['counts.txt']}", "--set", f"moments.tags={files['tags.json']}")

    assert hicm(*command({name: folder / name for name in moved})) == 0
    inputs = read_json(out / "manifest.json")["decided_by"]["inputs"]
    assert {"moments.words", "moments.counts", "moments.tags"} <= set(inputs)
    assert hicm(*command(moved)) == 0, "the same training"
    for name, path in moved.items():
        content = path.read_text()
        path.write_text(content + "\n\n" if name != "glove.txt" else content.replace("dog", "cat"))
        assert hicm(*command(moved)) == 2, name
        path.write_text(content)


def test_a_trained_model_needs_its_word_vectors_alone(folder, tmp_path):
    """Neither counts nor tags; the vector of unknown words is that of training."""
    counts, tags = tmp_path / "counts.txt", tmp_path / "tags.json"
    counts.write_bytes((folder / "counts.txt").read_bytes())
    tags.write_bytes((folder / "tags.json").read_bytes())
    run = tmp_path / "run"
    assert hicm("train", folder / "settings.yaml", "--out", run, "--set", f"moments.counts={counts}", "--set",
                f"moments.tags={tags}") == 0
    counts.unlink()
    tags.unlink()
    assert hicm("predict", run, "--out", tmp_path / "first.json") == 0
    assert hicm("predict", run, "--out", tmp_path / "second.json") == 0
    first, second = (read_json(tmp_path / f"{name}.json")["results"] for name in ("first", "second"))
    assert first == second and first["one"]
    config = load_config(folder / "settings.yaml")
    system = find_system("moments").load(run / "last", config)
    assert system.vocabulary.words == ("eats", "it", "dog")
    np.testing.assert_array_equal(*(one.words.vectors(["Nobody whistles"], 4)[0] for one in (system, prepare(folder))))


def test_word_vectors_may_lie_elsewhere(folder, tmp_path, capsys):
    """The same ones; others are refused, and so are those of another kind."""
    run, moved, other = tmp_path / "run", tmp_path / "moved.txt", tmp_path / "other.txt"
    vectors = tmp_path / "glove.txt"
    vectors.write_bytes((folder / "glove.txt").read_bytes())
    assert hicm("train", folder / "settings.yaml", "--out", run, "--set", f"moments.words=glove:{vectors}") == 0
    assert hicm("predict", run) == 0
    made = (run / "predictions_val.json").read_bytes()
    vectors.rename(moved)
    other.write_text(moved.read_text().replace("dog", "cat"))
    capsys.readouterr()
    assert hicm("predict", run) == 2 and "glove.txt: moments.words not found" in capsys.readouterr().err
    assert hicm("predict", run, "--set", f"moments.words=glove:{moved}") == 0
    assert (run / "predictions_val.json").read_bytes() == made
    assert hicm("predict", run, "--set", f"moments.words=glove:{moved}", "--out", tmp_path / "p.json") == 0
    assert read_json(tmp_path / "p.json")["results"] == read_json(run / "predictions_val.json")["results"]
    for words, what in ((f"glove:{other}", "was trained with the word vectors glove:"),
                        (f"glove_pickle:{folder / 'glove.pkl'}", "was trained with the word vectors glove:"),
                        ("each:hashing:6", "training decided this setting")):
        assert hicm("predict", run, "--set", f"moments.words={words}", "--out", tmp_path / "x.json") == 2
        assert what in capsys.readouterr().err


def test_missing_files_are_named(folder):
    config = load_config(folder / "settings.yaml", ["moments.words=glove:none.txt", "moments.counts=gone.txt"])
    assert start_files("moments", config.room) == {"moments.counts": "gone.txt", "moments.words": "none.txt"}
    shown = "\n".join(map(str, check_data(config).problems))
    assert "moments.words: none.txt not found; get it, or correct the setting" in shown
    assert "moments.counts: gone.txt not found; get it, or train without it: moments.counts= (empty)" in shown
