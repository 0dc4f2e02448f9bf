"""Parts of speech: made by NLTK's tagger, and how they weigh words."""

import json
import sys

import pytest

from hicm.errors import UserError
from hicm.files import read_json, sha256, write_json
from hicm.systems.moments.tags import TAGGER, load_tags, nltk_tagger, word_weights
from hicm.systems.moments.words import Sentence
from tests.rooms.conftest import hicm

nltk = pytest.importorskip("nltk")

SENTENCES = ["A dog sits.", "the dog&cat sleeps", "A dog sits."]


@pytest.fixture
def annotations(tmp_path):
    return write_json(tmp_path / "a.json", {"v": {"duration": 9.0, "timestamps": [[0, 4], [2, 9], [5, 6]],
                                                  "sentences": SENTENCES}})


@pytest.fixture
def tagger(tmp_path, monkeypatch):
    """A tiny tagger of NLTK's own kind, trained and saved as NLTK ships its data."""
    taught = [[("A", "DT"), ("dog", "NN"), ("sits", "VBZ"), (".", ".")],
              [("the", "DT"), ("cat", "NN"), ("sits", "VBZ")],
              [("a", "DT"), ("cat", "NN"), ("sleeps", "VBZ"), (".", ".")]]
    made = nltk.tag.PerceptronTagger(load=False)
    made.train(taught * 30, nr_iter=3)
    folder = tmp_path / "nltk_data" / "taggers" / TAGGER
    folder.mkdir(parents=True)
    for part, content in zip(("weights", "tagdict", "classes"), made.encode_json_obj(), strict=True):
        (folder / f"{TAGGER}.{part}.json").write_text(json.dumps(content))
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "nltk_data")])
    return folder


@pytest.mark.parametrize(("words", "tokens", "tags"), [
    ("clip", ["a", "dog", "sits", "."], ["DT", "NN", "VBZ", "."]),
    ("glove", ["A", "dog", "sits", "."], ["DT", "NN", "VBZ", "."])])
def test_sentences_are_tagged(annotations, tagger, tmp_path, words, tokens, tags):
    """Pieces of CLIP, and tokens as they are written; each sentence once."""
    assert hicm("data", "tag-words", annotations, "--words", words, "--out", tmp_path / "t.json") == 0
    found = read_json(tmp_path / "t.json")
    assert list(found["tags"]) == list(dict.fromkeys(SENTENCES)) and found["tags"]["A dog sits."] == tags
    assert found | {"tags": 0} == {"words": words, "tagger": TAGGER, "nltk": nltk.__version__, "tags": 0,
                                   "annotations": {"a.json": sha256(annotations)}}
    assert nltk_tagger()[0](tokens) == tags, "what the tagger itself says"
    assert load_tags(tmp_path / "t.json", words) == found["tags"]


def test_clip_and_glove_split_differently(annotations, tagger, tmp_path):
    """The tags of one are refused for the other, also where there are as many."""
    assert hicm("data", "tag-words", annotations, "--words", "glove", "--out", tmp_path / "t.json") == 0
    assert len(load_tags(tmp_path / "t.json", "glove")["the dog&cat sleeps"]) == 5
    with pytest.raises(UserError, match=r"t\.json: tags of words that were split as glove does, but moments\.words "
                                        "splits as clip; hicm data tag-words --words clip makes those"):
        load_tags(tmp_path / "t.json", "clip")


def test_other_tags_are_not_replaced(annotations, tagger, tmp_path, capsys):
    out = tmp_path / "t.json"
    assert hicm("data", "tag-words", annotations, "--out", out) == 0
    assert capsys.readouterr().out == f"{out}: parts of speech of 3 sentences\n"
    assert hicm("data", "tag-words", annotations, "--out", out) == 0, "the same again"
    assert hicm("data", "tag-words", annotations, "--words", "each", "--out", out) == 2
    assert "t.json: exists and holds something else; choose another --out" in capsys.readouterr().err
    assert hicm("data", "tag-words", annotations, "--words", "each", "--out", out, "--overwrite") == 0
    assert hicm("data", "tag-words", annotations, "--words", "each", "--out", annotations, "--overwrite") == 2
    assert "a.json: is the input" in capsys.readouterr().err


def test_what_is_missing_is_named(annotations, tmp_path, monkeypatch, capsys, tagger):
    command = ("data", "tag-words", annotations, "--out", tmp_path / "t.json")
    assert hicm(*command, "--words", "glov") == 2
    assert "--words: expected one of 'clip', 'each', 'glove', found 'glov'; did you mean" in capsys.readouterr().err
    (tagger / f"{TAGGER}.weights.json").write_text("{")
    assert hicm(*command) == 2
    assert "the data of NLTK's tagger cannot be read" in capsys.readouterr().err
    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "none")])
    assert hicm(*command) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"NLTK {nltk.__version__} has no data for its tagger; python -m nltk.downloader {TAGGER}, or name in " \
           f"NLTK_DATA the folder that has taggers/{TAGGER}" in line
    monkeypatch.setitem(sys.modules, "nltk", None)
    assert hicm(*command) == 2
    assert "tagged by the package nltk; pip install 'hicm[glove]'" in capsys.readouterr().err
    assert not (tmp_path / "t.json").exists()


def test_content_words_are_masked_more_often(tmp_path):
    """Tags are those of all words: those that are read may be fewer, and not the first ones."""
    path = write_json(tmp_path / "t.json", {"a dog sits": ["DT", "NN", "VBZ"]})
    tags = load_tags(path, "glove")
    shown = ("a", "dog", "sits")
    assert word_weights("a dog sits", Sentence(shown, shown).first(2), tags, "t.json").tolist() == [1, 2]
    assert word_weights("a dog sits", Sentence(("a", "sits"), shown, (0, 2)), tags, "t.json").tolist() == [1, 2]
    assert word_weights("a dog sits", Sentence(("",), shown, ()), tags, "t.json").tolist() == [1]
    assert word_weights("anything", Sentence(("a", "b"), ("a", "b")), None, "").tolist() == [1, 1]
    assert word_weights("", Sentence((), ()), {"": []}, "").shape == (0,)
    with pytest.raises(UserError, match=r"t\.json: no tags for the sentence 'x'"):
        word_weights("x", Sentence(("x",), ("x",)), tags, "t.json")
    for words in (("a", "dog"), ("a", "dog", "sits", "down")):
        with pytest.raises(UserError, match=rf"3 tags for {len(words)} words \({', '.join(words)}\)"):
            word_weights("a dog sits", Sentence(words, words), tags, "t.json")


@pytest.mark.parametrize("content", [{"a": "DT"}, [], {"words": "glove", "tags": {"a": [1]}}])
def test_another_file_is_refused(tmp_path, content):
    with pytest.raises(UserError, match=r"t\.json: expected \{sentence: \[tag of each word"):
        load_tags(write_json(tmp_path / "t.json", content), "glove")


def test_a_sentence_may_be_called_tags(tmp_path):
    assert load_tags(write_json(tmp_path / "t.json", {"tags": ["NNS"]}), "clip") == {"tags": ["NNS"]}
