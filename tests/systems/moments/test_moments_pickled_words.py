"""Word vectors from the pickle of CPL, of which nothing is run."""

import pickle
import warnings
from collections import Counter

import numpy as np
import pytest

from hicm.errors import UserError
from hicm.systems.moments.counts import read_counts
from hicm.systems.moments.words import make_words

pytest.importorskip("nltk")

WORDS = ("<PAD>", "dog", "sits", ".", "'s")


def pickled(path, protocol=4, **changes):
    """A file of the published form: three coordinates of each word, the first of padding."""
    vectors = [np.full(3, number, np.float32) for number in range(len(WORDS))]
    content = {"w2id": {word: number for number, word in enumerate(WORDS)}, "id2vec": vectors,
               "counter": Counter({"sits": 2, "dog": 5, ".": 5, "'s": 1})} | changes
    path.write_bytes(pickle.dumps({key: value for key, value in content.items() if value is not None}, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_unknown_words_are_dropped(tmp_path, protocol):
    words = make_words(f"glove_pickle:{pickled(tmp_path / 'glove.pkl', protocol)}")
    sentence = words.split("The dog's Dog calmly sits.")
    assert sentence.words == ("dog", "'s", "dog", "sits", ".") and sentence.places == (1, 2, 3, 5, 6)
    assert sentence.shown == ("The", "dog", "'s", "Dog", "calmly", "sits", ".")
    assert sentence.dropped == ("The", "calmly") and words.width == 3
    assert sentence.first(2).words == ("dog", "'s") and sentence.first(2).places == (1, 2)
    [found] = words.vectors(["The dog's Dog calmly sits."], 4)
    assert found.dtype == np.float32 and found[:, 0].tolist() == [1, 4, 1, 2], "words are dropped first, then cut"


def test_padding_is_no_word(tmp_path):
    assert make_words(f"glove_pickle:{pickled(tmp_path / 'g.pkl')}").split("<PAD> dog").words == ("dog",)


def test_a_sentence_without_known_words_is_one_zero_vector(tmp_path):
    words = make_words(f"glove_pickle:{pickled(tmp_path / 'g.pkl')}")
    sentence = words.split("Somebody whistles")
    assert sentence.words == ("",) and sentence.places == (0,) and sentence.dropped == ("Somebody", "whistles")
    with pytest.warns(UserWarning, match=r"g\.pkl: knows no word of 2 sentences \(the first: 'Somebody whistles'\), "
                                         "which are read as one word whose vector is zero"):
        blank, known, empty = words.vectors(["Somebody whistles", "dog", " "], 4)
    assert blank.tolist() == [[0, 0, 0]] == empty.tolist() and known.tolist() == [[1, 1, 1]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words.vectors(["a dog"], 4)


def test_vectors_may_be_a_matrix(tmp_path):
    matrix = np.arange(15.0).reshape(5, 3)
    words = make_words(f"glove_pickle:{pickled(tmp_path / 'g.pkl', id2vec=matrix)}")
    assert words.vectors(["dog"], 4)[0].tolist() == [[3, 4, 5]] and words.vectors(["dog"], 4)[0].dtype == np.float32


class Trap:
    """What a pickle may hold that runs code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_the_pickle_is_run(tmp_path):
    words = make_words(f"glove_pickle:{pickled(tmp_path / 'g.pkl', extra=Trap(tmp_path / 'run'))}")
    with pytest.raises(UserError, match=r"g\.pkl: word vectors refused \(it names io\.open"):
        _ = words.width
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("changes", "what"), [
    ({"w2id": None}, r"expected a dict with w2id .* and id2vec, .*; is it the glove\.pkl of CPL\?"),
    ({"w2id": {}}, "expected a dict with w2id"), ({"id2vec": None}, "expected a dict with w2id"),
    ({"id2vec": [[1.0, 2], [3]]}, "a vector of finite numbers for each number"),
    ({"id2vec": [[1.0, np.nan]] * 5}, "a vector of finite numbers"), ({"id2vec": ["a"]}, "a vector of finite numbers"),
    ({"w2id": {"dog": 5}}, r"w2id: word 'dog': number 5, expected one from 0 to 4, of the vectors in id2vec"),
    ({"w2id": {"dog": "x"}}, "number 'x', expected one from 0 to 4"), ({"w2id": {3: 1}}, "word 3: number 1")])
def test_another_pickle_is_refused(tmp_path, changes, what):
    words = make_words(f"glove_pickle:{pickled(tmp_path / 'g.pkl', **changes)}")
    with pytest.raises(UserError, match=r"g\.pkl: .*" + what):
        _ = words.width


def test_its_counter_orders_the_classes(tmp_path):
    """By falling count; of equal ones the first in the file, as Counter.most_common has them."""
    path = pickled(tmp_path / "g.pkl")
    assert read_counts(path, "glove") == ("dog", ".", "sits", "'s")
    with pytest.raises(UserError, match=r"g\.pkl: counts words, but moments\.words needs pieces of words"):
        read_counts(path, "clip")
    for counter, what in ((None, r"expected a dict with counter \{word: count\}"), ({"a": "b"}, "'a': 'b', expected"),
                          ({1: 1}, "1: 1, expected words and their counts"), ({}, "counts no words")):
        with pytest.raises(UserError, match=what):
            read_counts(pickled(tmp_path / "g.pkl", counter=counter), "glove")
