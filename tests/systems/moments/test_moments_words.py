"""Words of queries: splitting, vectors, classes, chances of being masked."""

import numpy as np
import pytest

from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import write_json
from hicm.systems.moments.settings import Settings, prediction_files
from hicm.systems.moments.targets import clip_scores, rated_rows, relevant_rows, target_windows
from hicm.systems.moments.vocabulary import Vocabulary, build_vocabulary, load_vocabulary
from hicm.systems.moments.words import make_words
from hicm.systems.moments.words.clip import ClipWords, split_pieces
from hicm.types import Span


def test_each_word_is_embedded_on_its_own():
    words = make_words("each:hashing:16")
    assert words.split("A dog, barks").words == ("a", "dog", ",", "barks")
    assert words.split("A dog, barks").shown[0] == "A" and words.split(" ").words == ("",)
    first, second, third = words.vectors(["A dog, barks", "barks", ""], 3)
    assert first.shape == (3, 16) and second.shape == (1, 16) == third.shape
    np.testing.assert_array_equal(first[1], make_encoder("hashing:16").encode(["dog"])[0])


@pytest.mark.parametrize(("spec", "what"), [
    ("hashing:16", r"moments\.words: 'hashing:16' makes no word vectors; expected one of clip:<model>/<pretrained>, "
                   r"each:<encoder>, glove:<text file>, glove_pickle:<pickle>, hf:<name or folder>"),
    ("each:nothing", "'nothing' is not an encoder"), ("glove:none.txt", r"none\.txt: file of word vectors not found"),
    ("glove_pickle:none.pkl", r"none\.pkl: pickle of word vectors not found")])
def test_unknown_words_are_refused(spec, what):
    with pytest.raises(UserError, match=what):
        make_words(spec)


def test_pieces_of_clip():
    """Numbers of OpenAI's vocabulary, as the published count files list them."""
    assert split_pieces("Mince the frozen lamb") == [
        (32396, "mince</w>"), (518, "the</w>"), (8507, "frozen</w>"), (10034, "lamb</w>")]
    sentence = ClipWords("ViT-B-32/openai", offline=True).split("cilantro &amp; lime")
    assert sentence.shown == tuple(word.removesuffix("</w>") for word in sentence.words) and "&" in sentence.shown
    assert sentence.first(2).words == sentence.words[:2] and sentence.first(2).shown == sentence.shown
    assert sentence.first(2).places == (0, 1) and sentence.dropped == ()


def test_token_states_of_clip(tmp_path):
    """A tiny CLIP with random weights: the states do not depend on what stands after them."""
    open_clip, torch = pytest.importorskip("open_clip"), pytest.importorskip("torch")
    torch.manual_seed(0)
    words = ClipWords("tiny/none", offline=True)
    model = open_clip.CLIP(embed_dim=8, vision_cfg={"layers": 1, "width": 64, "head_width": 32, "patch_size": 16,
                                                    "image_size": 32},
                           text_cfg={"context_length": 77, "width": 32, "heads": 2, "layers": 1})
    words._encoder.__dict__["_loaded"] = (model.eval(), open_clip.get_tokenizer("ViT-B-32"))
    assert words.width == 32 and words.vectors([""], 4)[0].shape == (2, 32)
    [long, short] = words.vectors(["mince the frozen lamb", "mince"], 5)
    assert long.shape == (5, 32) and short.shape == (3, 32) and words.width == 32 and words.ends
    np.testing.assert_allclose(long[:2], short[:2], atol=1e-6)
    with torch.no_grad():  # the projection of the state at the end mark is CLIP's embedding of the text
        expected = model.encode_text(open_clip.get_tokenizer("ViT-B-32")(["mince"]))[0]
        np.testing.assert_allclose(torch.from_numpy(short[2]) @ model.text_projection, expected, atol=1e-5)


def test_models_that_read_text_in_another_way_are_refused():
    from types import SimpleNamespace

    words = ClipWords("other/none", offline=True)
    words._encoder.__dict__["_loaded"] = (SimpleNamespace(text=SimpleNamespace(transformer=None)), None)
    with pytest.raises(UserError, match="openclip:other/none: its text tower or tokenizer is not CLIP's own"):
        words.vectors(["x"], 4)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """A tiny model with random weights."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dog", "bark", "##s", "."]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    transformers.BertModel(transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=12)).save_pretrained(folder)
    return folder


def test_token_states_of_a_text_encoder(bert):
    """The mean of all states of a text is its embedding, whatever stands beside it in a batch."""
    words, texts = make_words(f"hf:{bert}", offline=True), ["A dog barks.", "dog", ""]
    assert words.split("A dog barks.").words == ("a", "dog", "bark", "##s", ".") and words.ends
    assert words.split("A dog barks.").shown == ("a", "dog", "bark", "s", ".")
    found = words.vectors(texts, 8)
    assert [rows.shape for rows in found] == [(7, 16), (3, 16), (2, 16)] and words.width == 16
    means = np.stack([rows.mean(0) / np.linalg.norm(rows.mean(0)) for rows in found])
    np.testing.assert_allclose(means, make_encoder(f"hf:{bert}").encode(texts), atol=1e-6)
    [cut] = words.vectors(texts[:1], 4)  # [CLS] a dog [SEP]
    np.testing.assert_allclose(cut, words.vectors(["a dog"], 8)[0], atol=1e-6)
    assert words.vectors(["dog " * 40], 40)[0].shape == (12, 16)
    assert words.name == make_encoder(f"hf:{bert}").name


def test_tokenizers_without_marks_at_both_ends_are_refused(bert, tmp_path):
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_file(str(bert / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing("$A [SEP]", special_tokens=[("[SEP]", 3)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"hf:.*does not put one mark before and one after a text"):
        make_words(f"hf:{tmp_path}", offline=True).vectors(["a dog"], 8)


@pytest.fixture
def glove(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("dog 1 0\nsits 0 1\n. 1 1\ndog 9 9\n", encoding="utf-8")
    return path


def test_glove_vectors(glove):
    pytest.importorskip("nltk")
    words = make_words(f"glove:{glove}")
    assert words.split("The dog sits.").words == ("the", "dog", "sits", ".")
    [found] = words.vectors(["The dog sits."], 4)
    np.testing.assert_allclose(found, [[2 / 3, 2 / 3], [1, 0], [0, 1], [1, 1]], rtol=1e-6)
    assert words.width == 2


def test_the_vector_of_unknown_words_is_that_of_the_file(glove, tmp_path):
    """The exact mean, also of numbers whose sum float32 does not hold, and the same for the same file elsewhere."""
    glove.write_text("first 16777216 0\n" + "".join(f"w{number} 1 {number}\n" for number in range(300)))
    copy = tmp_path / "copy.txt"
    copy.write_bytes(glove.read_bytes())
    first, second = make_words(f"glove:{glove}"), make_words(f"glove:{copy}")
    [found], [again] = first.vectors(["unknown"], 1), second.vectors(["elsewhere"], 1)
    np.testing.assert_array_equal(found[0], np.array([(16777216 + 300) / 301, 299 * 300 / 2 / 301], np.float32))
    np.testing.assert_array_equal(found, again)
    assert first.name == second.name


@pytest.mark.parametrize(("line", "what"), [("cat 1 x\n", "line 5"), ("cat 1\n", "line 5"), ("cat 1 nan\n", "line 5")])
def test_damaged_glove_files(glove, line, what):
    glove.write_text(glove.read_text() + line)
    with pytest.raises(UserError, match=f"glove.txt: {what}: expected a word and as many numbers as in the first line"):
        _ = make_words(f"glove:{glove}").width


def test_classes_of_words(tmp_path):
    vocabulary = build_vocabulary([["a", "dog"], ["the", "dog"]], 2, ends=True)
    assert vocabulary.words == ("dog", "a") and len(vocabulary) == 5
    labels, unknown = vocabulary.encode(["dog", "barks"])
    assert labels.tolist() == [3, 0, 2, 4] and unknown.tolist() == [False, False, True, False]
    plain = Vocabulary(("dog",), ends=False)
    assert len(plain) == 2 and plain.encode(["a", "dog"])[0].tolist() == [1, 0]
    vocabulary.save(tmp_path / "v.json")
    assert load_vocabulary(tmp_path / "v.json") == vocabulary


def test_files_and_folders_of_word_vectors_are_inputs(tmp_path):
    """A folder is known by its content, the name of a model on the hub by itself."""
    for kind in ("hf", "each:hf", "glove", "clip:local-dir"):
        assert prediction_files(Settings(words=f"{kind}:{tmp_path}")) == {"moments.words": str(tmp_path)}
    for name in ("hf:bert-base-uncased", "each:hashing:8", "clip:ViT-B-32/openai"):
        assert prediction_files(Settings(words=name)) == {}


@pytest.mark.parametrize("content", [[], {"words": ["a", "a"], "ends": True}, {"words": ["a"]}, {"words": [1],
                                                                                                 "ends": False}])
def test_another_vocabulary_is_refused(content, tmp_path):
    write_json(tmp_path / "v.json", content)
    with pytest.raises(UserError, match=r"v\.json: expected the words that were saved with the model"):
        load_vocabulary(tmp_path / "v.json")


def test_targets():
    assert relevant_rows([Span(1.9, 3.0), Span(7, 99)], 1.0, 6).tolist() == [False, True, True, True, False, True]
    assert relevant_rows([Span(4, 4)], 2.0, 4).tolist() == [False, False, True, False]
    clips, ratings = np.array([1, 9]), np.array([[4, 2, 1], [1, 1, 1]])
    assert rated_rows(clips, ratings, 2.0, 3).tolist() == [0, 7, 0]
    assert rated_rows(clips, ratings, 1.0, 4).tolist() == [0, 0, 7, 7], "two rows in a clip"
    assert rated_rows(clips, ratings, 4.0, 2).tolist() == [7, 0], "a row has the clip at its middle"
    np.testing.assert_allclose(target_windows([Span(2, 6)], 8.0), [[0.5, 0.5]])
    scores = np.arange(4.0)
    assert clip_scores(scores, 1.0, 4.5).tolist() == [1, 3]
    assert clip_scores(scores, 4.0, 16.0).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert clip_scores(scores, 2.0, 10.0).tolist() == [0, 1, 2, 3, 3], "a row less than clips moves none of them"
    assert target_windows([], 8.0).shape == (0, 2)
