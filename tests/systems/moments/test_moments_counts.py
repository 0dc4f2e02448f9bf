"""Files that count words: as they are written, as they are read, and against those that MESM's authors publish."""

import gzip
from pathlib import Path

import pytest

from hicm.errors import UserError
from hicm.files import write_json
from hicm.systems.moments.counts import read_counts
from hicm.systems.moments.vocabulary import listed_vocabulary
from hicm.systems.moments.words.clip import split_pieces
from tests.rooms.conftest import hicm

DATA = Path(__file__).parents[4] / "shared" / "data"
SENTENCES = ["The dog sits, the cat doesn't.", "a dog/cat", "The unbelievably-long", "DOG"]
WORDS = "the 9 3\ndog 5 3\ncat 3 2\nsits 7 1\ndoesn 4 1\nt 8 1\na 2 1\nunbelievably 10 1\nlong 6 1\n"
PIECES = "1929 3\n518 2\n320 1\n33781 1\n"  # dog, the, a, unbelievably


@pytest.fixture
def annotations(tmp_path):
    """The last sentence starts after its video."""
    return write_json(tmp_path / "a.json", {"v": {
        "duration": 9.0, "timestamps": [[0, 4], [2, 9], [5, 6], [1, 2], [10, 11]],
        "sentences": [*SENTENCES, "outside"]}})


def test_words_without_punctuation_are_counted(annotations, tmp_path, capsys):
    """Of equally frequent words the first stands first; sentences are not cut; numbers are alphabetical, from 2."""
    out = tmp_path / "glove.txt"
    assert hicm("data", "count-words", annotations, "--words", "glove", "--max-words", "3", "--out", out) == 0
    assert out.read_text() == WORDS
    assert capsys.readouterr().out == f"{out}: 9 words, counted 14 times in 4 sentences\n"
    expected = ("the", "dog", "cat", "sits", "doesn", "t", "a", "unbelievably", "long")
    assert read_counts(out, "glove") == read_counts(out, "each") == expected


def test_pieces_are_counted_in_what_is_read(annotations, tmp_path):
    """``--max-words`` counts the marks at both ends, which are no pieces."""
    out = tmp_path / "clip.txt"
    assert hicm("data", "count-words", annotations, "--max-words", "4", "--out", out) == 0
    assert out.read_text() == PIECES
    assert read_counts(out, "clip") == ("dog</w>", "the</w>", "a</w>", "unbelievably</w>")
    assert hicm("data", "count-words", annotations, annotations, "--out", tmp_path / "longer.txt") == 0
    assert "268 2\n" in (tmp_path / "longer.txt").read_text(), "more pieces, and every file counts"


def test_any_annotations_are_counted(tmp_path, capsys):
    """Charades-STA's durations stand after their annotations, and decide which rows are left out."""
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    train.write_text("AAAAA 0.0 4.0##a dog.\nAAAAA 40.0 50.0##too late.\n")
    test.write_text("BBBBB 0.0 4.0##a cat.\n")
    for name, video in (("train", "AAAAA"), ("test", "BBBBB")):
        (tmp_path / f"{name}.csv").write_text(f"id,subject,length\n{video},X,30.0\n")
    highlights = tmp_path / "h.jsonl"
    highlights.write_text('{"qid": 1, "query": "a bird", "vid": "v_0.0_150.0", "duration": 150}\n')
    tacos = write_json(tmp_path / "t.json", {"s1.avi": {"timestamps": [[0, 9]], "sentences": ["a fork"], "fps": 29.4,
                                                        "num_frames": 99}})
    out = tmp_path / "c.txt"
    with pytest.warns(UserWarning, match=r"train\.txt: queries skipped \(start after the end of the video\): 1"):
        assert hicm("data", "count-words", train, train.with_suffix(".csv"), test, test.with_suffix(".csv"), highlights,
                    tacos, "--words", "glove", "--out", out) == 0
    assert out.read_text() == "a 2 4\ndog 5 1\ncat 4 1\nbird 3 1\nfork 6 1\n"
    assert hicm("data", "count-words", train.with_suffix(".csv"), train, "--out", out) == 2
    assert "1 files of durations (" in capsys.readouterr().err, "it stands before its annotations"


def test_what_cannot_be_counted_is_refused(annotations, tmp_path, capsys):
    out, blank = tmp_path / "c.txt", tmp_path / "b.json"
    write_json(blank, {"v": {"duration": 9.0, "timestamps": [[0, 4]], "sentences": ["..."]}})
    for command, what in (
            ((annotations, "--words", "each"), "--words=each: expected clip or glove"),
            ((annotations, "--max-words", "2"), "--max-words=2: expected at least 3"),
            ((tmp_path / "none.json",), "none.json: annotations not found"),
            ((blank, "--words", "glove"), "no words in 1 sentences; nothing to count")):
        assert hicm("data", "count-words", *command, "--out", out) == 2
        assert what in capsys.readouterr().err
    assert not out.exists()
    out.write_text("mine")
    assert hicm("data", "count-words", annotations, "--out", out) == 2
    assert "c.txt: exists and holds something else" in capsys.readouterr().err and out.read_text() == "mine"
    assert hicm("data", "count-words", annotations, "--out", annotations, "--overwrite") == 2
    assert "a.json: is the input" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "splitting", "what"), [
    (PIECES, "glove", "counts pieces of words as CLIP numbers them, but moments.words needs words; hicm data "
                      "count-words --words glove counts those"),
    (WORDS, "clip", "counts words, but moments.words needs pieces of words as CLIP numbers them"),
    ("", "clip", "counts no words; hicm data count-words --words clip writes such a file"),
    ("518 2\n518 1\n", "clip", "counts 'the</w>' twice; keep one"),
    ("518 2\n99999 1\n", "clip", "line 2: '99999' is the number of no piece"),
    ("518 2\n\nthe 1\n", "clip", "line 3: 'the' is the number of no piece"),
    ("518 2\n519\n", "clip", "line 2: '519', expected NUMBER COUNT"),
    ("518 0\n", "clip", "line 1: '518 0', expected NUMBER COUNT"),
    ("518 " + "9" * 5000, "clip", "expected NUMBER COUNT"),
    ("dog 5\n", "glove", "line 1: 'dog 5', expected WORD NUMBER COUNT"),
    ("a 2 3\ndog x 5\n", "glove", "line 2: 'dog x 5', expected WORD NUMBER COUNT")])
def test_damaged_counts_are_refused(tmp_path, content, splitting, what):
    path = tmp_path / "c.txt"
    path.write_text(content)
    with pytest.raises(UserError) as refused:
        read_counts(path, splitting)
    assert str(refused.value).startswith(str(path)) and what in str(refused.value)


def test_the_first_words_of_a_file_are_the_classes():
    """Those of the file, whether or not training has them; but some."""
    made = listed_vocabulary(("the", "dog", "cat"), [["a", "dog"]], 2, False, "c.txt")
    assert made.words == ("the", "dog") and made.encode(["cat", "dog", "a"])[0].tolist() == [2, 1, 2]
    with pytest.raises(UserError, match=r"c\.txt: none of its first 2 words is in a training sentence"):
        listed_vocabulary(("the", "dog", "cat"), [["a", "cat"]], 2, False, "c.txt")


def unpack(name: str, folder: Path) -> Path:
    path = folder / Path(name).name
    path.write_bytes(gzip.decompress((DATA / f"{name}.gz").read_bytes()))
    return path


@pytest.mark.parametrize(("data", "files"), [
    ("charades", ["charades_sta_train.txt", "Charades_v1_train.csv", "charades_sta_test.txt", "Charades_v1_test.csv"]),
    ("tacos", ["train.json", "test.json"])])
@pytest.mark.parametrize(("words", "published", "splitting"), [
    ("clip", "CLIP_tokenized_count.txt", "clip"), ("glove", "GloVe_tokenized_count.txt", "glove")])
def test_published_counts_are_made_again(tmp_path, data, files, words, published, splitting):
    """Byte for byte: those of the training and the test split, 14 pieces of each sentence, or all its words."""
    if not (DATA / data).is_dir():
        pytest.skip(f"needs {data} in the folder 'shared' beside the checkout")
    (tmp_path / "in").mkdir()
    given = [unpack(f"{data}/{name}", tmp_path / "in") for name in files]
    out = tmp_path / "c.txt"
    assert hicm("data", "count-words", *given, "--words", words, "--out", out) == 0
    expected = unpack(f"{data}/{published}", tmp_path)
    assert out.read_bytes() == expected.read_bytes()
    assert len(read_counts(expected, splitting)) == {"clip": {"charades": 1354, "tacos": 1749},
                                                     "glove": {"charades": 1268, "tacos": 1724}}[words][data]


def test_published_counts_of_qvhighlights(tmp_path):
    """The training split is not at hand; what the validation split has, cut to 30 pieces, is counted at least as often.
    """
    if not (DATA / "qvhighlights").is_dir():
        pytest.skip("needs qvhighlights in the folder 'shared' beside the checkout")
    given, out = unpack("qvhighlights/highlight_val_release.jsonl", tmp_path), tmp_path / "c.txt"
    assert hicm("data", "count-words", given, "--max-words", "32", "--out", out) == 0
    published = unpack("qvhighlights/CLIP_tokenized_count.txt", tmp_path)
    known, own = (dict(map(str.split, path.read_text().splitlines())) for path in (published, out))
    assert all(int(known[number]) >= int(count) for number, count in own.items())
    assert len(read_counts(published, "clip")) == 6738 and split_pieces("a")[0][0] == int(next(iter(known)))
