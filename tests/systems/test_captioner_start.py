"""What a training starts from: weights only with the pieces they were trained with, settings that can be trained."""

import shutil
from pathlib import Path

import pytest
import sentencepiece
import torch
from sentencepiece import sentencepiece_model_pb2
from transformers import T5Tokenizer

from hicm import verbs
from hicm.cli import main
from hicm.config import load_config
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.rooms import check_settings
from hicm.systems.captioner.model import Captioner, make_t5
from hicm.systems.captioner.released import compatibility
from hicm.systems.captioner.released.compatibility import T5_DIGEST, check_pieces
from hicm.systems.captioner.settings import Settings
from hicm.systems.captioner.vocabulary import Vocabulary, load_pieces, load_vocabulary, refuse_other_pieces
from hicm.systems.captioner.weights import build, from_pretrained, save_captioner
from tests.tiny import make_tiny

T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 4}
WORDS = ["chop", "the", "onion", "fry", "oil", "serve", "soup", "boil", "water", "pot", "rice", "salt"]


def write_tokenizer(folder: Path, words: list[str] = WORDS, slow: bool = False, bins: int = 0,
                    sentinels: int = 100) -> Path:
    """A tokenizer in T5's layout whose pieces are ``words``; ``slow``: SentencePiece's file and nothing else."""
    model = sentencepiece_model_pb2.ModelProto()
    folder.mkdir(parents=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(WORDS)] * 20), model_prefix=str(folder / "spiece"), vocab_size=40,
        hard_vocab_limit=False, model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2)
    (folder / "spiece.vocab").unlink()
    model.ParseFromString((folder / "spiece.model").read_bytes())
    special = [piece for piece in model.pieces if piece.type != piece.NORMAL]
    del model.pieces[:]
    model.pieces.extend(special)
    for number, word in enumerate(words):
        model.pieces.add(piece=f"▁{word}", score=-float(number))
    (folder / "spiece.model").write_bytes(model.SerializeToString())
    if not slow:
        tokenizer = T5Tokenizer.from_pretrained(str(folder), extra_ids=sentinels)
        if bins:
            Vocabulary(tokenizer, bins)
        tokenizer.save_pretrained(folder)
        (folder / "spiece.model").unlink()
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """A checkpoint folder of hicm whose tokenizer has `WORDS`."""
    folder = tmp_path_factory.mktemp("start")
    vocabulary = load_vocabulary(str(write_tokenizer(folder / "words")), 10, offline=True)
    config = settings_of()
    torch.manual_seed(0)
    model = Captioner(config, make_t5(config, vocabulary.size, vocabulary.text_size), 24, 10, 0)
    save_captioner(model, vocabulary, folder / "run" / "best", run="r")
    return folder / "run" / "best"


def settings_of(**changes) -> Settings:
    return Settings(**{"t5": "scratch", "t5_config": T5, "time_bins": 10, "visual_depth": 1, "visual_heads": 4,
                       "visual_mlp": 32, **changes})


def started(start: Path, tokenizer: Path, bins: int = 10, **changes) -> Captioner:
    config = settings_of(init=str(start), tokenizer=str(tokenizer), time_bins=bins, **changes)
    return build(config, load_vocabulary(str(tokenizer), bins, offline=True), 24, 10, 0, offline=True)


SWAPPED = [*WORDS[:4], WORDS[5], WORDS[4], *WORDS[6:]]


@pytest.mark.parametrize(("words", "options", "difference"), [
    (SWAPPED, {}, "piece 7 is '▁oil' there and '▁serve' here"),
    ([*WORDS[:-1], "pepper"], {}, "piece 14 is '▁salt' there and '▁pepper' here"),
    ([*WORDS[:-1], "pepper"], {"slow": True}, "piece 14 is '▁salt' there and '▁pepper' here"),
    ([*WORDS, "pepper"], {"sentinels": 99}, "piece 15 is '<extra_id_99>' there and '▁pepper' here"),
    ([*WORDS, "pepper"], {}, "115 text pieces there and 116 here, piece 15 is"),
    ([*WORDS, "pepper"], {"bins": 9},
     "115 text pieces there and 116 here, 10 time tokens there and 9 here, piece 15 is"),
    (WORDS, {"bins": 9}, "10 time tokens there and 9 here"),
    (WORDS, {"sentinels": 90}, "115 text pieces there and 105 here, piece 15 is '<extra_id_99>' there and"),
])
def test_another_vocabulary_of_whatever_size_is_refused(start, tmp_path, words, options, difference):
    tokenizer = write_tokenizer(tmp_path / "other", words, **options)
    for place in (start, start.parent):
        with pytest.raises(UserError) as caught:
            started(place, tokenizer, options.get("bins", 10))
        told = str(caught.value)
        assert told.startswith(f"captioner.init: {start} has other pieces than the tokenizer of this run: {difference}")
        assert told.endswith(f"; set captioner.tokenizer={start / 'tokenizer'} and captioner.time_bins=10")


@pytest.mark.parametrize("options", [{}, {"slow": True}, {"bins": 10}])
def test_the_same_pieces_however_they_are_stored(start, tmp_path, options):
    model = started(start, write_tokenizer(tmp_path / "same", **options))
    assert torch.equal(model.t5.shared.weight, from_pretrained(start)[0].t5.shared.weight)


def test_what_shows_in_no_shape_is_compared_too(start, tmp_path):
    tokenizer = start / "tokenizer"
    with pytest.raises(UserError, match=r"was trained with captioner.visual_heads=4, found 6; set them to its values"):
        started(start, tokenizer, visual_heads=6)
    with pytest.raises(UserError, match=r"dense_act_fn=relu, found silu"):
        started(start, tokenizer, t5_config={**T5, "feed_forward_proj": "silu"})


def test_the_arguments_of_a_released_file_tell_its_heads(start, tmp_path):
    torch.save({"model": from_pretrained(start)[0].state_dict(), "args": {"heads": 8}}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x.pth: was trained with captioner.visual_heads=8, found 4; set it to that"):
        started(tmp_path / "x.pth", start / "tokenizer")
    started(tmp_path / "x.pth", start / "tokenizer", visual_heads=8)


def test_a_description_with_an_impossible_value_is_one_line(start, tmp_path):
    folder = shutil.copytree(start, tmp_path / "best")
    about = read_json(folder / "captioner.json")
    about["t5_config"]["num_heads"] = "abc"
    write_json(folder / "captioner.json", about)
    with pytest.raises(UserError, match=r"captioner.json: cannot be read .*num_heads") as caught:
        from_pretrained(folder)
    assert "\n" not in str(caught.value)


def test_a_t5_and_the_tokenizer_of_another(start, tmp_path):
    """Pre-trained weights with a tokenizer trained on the captions were taken without a word."""
    folder = write_tokenizer(tmp_path / "t5")
    make_t5(settings_of(), 128, 128).save_pretrained(folder)
    other = write_tokenizer(tmp_path / "other", SWAPPED)
    run = load_vocabulary(str(other), 10, offline=True)
    for name in (str(other), "train"):
        with pytest.raises(UserError, match=r"captioner.t5: \S+ has other pieces than captioner.tokenizer: "
                                            r"\S+: piece 7 is '▁oil' there and '▁serve' here; set captioner.tok"):
            build(settings_of(t5=str(folder), t5_config={}, tokenizer=name), run, 24, 10, 0, offline=True)
    bare = tmp_path / "weights alone"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(folder / name, bare)
    build(settings_of(t5=str(bare), t5_config={}, tokenizer=str(other)), run, 24, 10, 0, offline=True)
    with pytest.raises(UserError, match=r"captioner.tokenizer: .*weights alone: no tokenizer found"):
        load_vocabulary(str(bare), 10, offline=True)
    same = load_vocabulary(str(write_tokenizer(tmp_path / "same", slow=True)), 10, offline=True)
    build(settings_of(t5=str(folder), t5_config={}, tokenizer=str(tmp_path / "same")), same, 24, 10, 0, offline=True)


def test_a_tokenizer_of_another_layout_is_refused(tmp_path):
    folder = write_tokenizer(tmp_path / "odd")
    text = (folder / "tokenizer_config.json").read_text().replace('"pad_token": "<pad>"', '"pad_token": "<unk>"')
    (folder / "tokenizer_config.json").write_text(text)
    with pytest.raises(UserError, match="tokenizer: expected <pad> as token 0 and </s> as token 1, as T5 has them"):
        load_vocabulary(str(folder), 10, offline=True)


def test_the_real_tokenizer_of_t5(shared, tmp_path):
    """Released weights have its 32,100 pieces; another of that size, and the real one in another order, is refused."""
    folder = shared / "real" / "t5-tokenizer"
    if not folder.is_dir():
        pytest.skip("needs real/t5-tokenizer in the shared folder")
    real = load_vocabulary(str(folder), 100, offline=True)
    assert real.digest != T5_DIGEST and real.sentinels == tuple(range(32_099, 31_999, -1))
    check_pieces({"model_name": "t5-base"}, real, "released.pth")
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString((folder / "spiece.model").read_bytes())
    first, last = model.pieces[300].piece, model.pieces[31_000].piece
    model.pieces[300].piece, model.pieces[31_000].piece = last, first
    (tmp_path / "spiece.model").write_bytes(model.SerializeToString())
    other = load_vocabulary(str(tmp_path), 100, offline=True)
    assert other.size == real.size
    with pytest.raises(UserError, match=r"released.pth: was trained with that of t5-base, and the tokenizer .* 32,100"):
        check_pieces({"model_name": "t5-base"}, other, "released.pth")
    with pytest.raises(UserError, match="piece 300 is "):
        refuse_other_pieces(load_pieces(str(folder), offline=True), other.pieces[:32_100], "a", "b", "c")


def test_a_released_file_of_that_size_has_the_pieces_of_t5(start, tmp_path, monkeypatch):
    vocabulary = load_vocabulary(str(start / "tokenizer"), 10, offline=True)
    check_pieces({}, vocabulary, "x.pth")
    monkeypatch.setattr(compatibility, "T5_PIECES", vocabulary.text_size)
    torch.save({"model": from_pretrained(start)[0].state_dict()}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x.pth: was trained with T5's, as all published ones, .* 115, but others"):
        build(settings_of(init=str(tmp_path / "x.pth")), vocabulary, 24, 10, 0)


# --- runs ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, train__epochs=1, train__eval_every=0)


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """A run folder; read only."""
    return verbs.train(str(tiny), out=str(tmp_path_factory.mktemp("runs") / "first"))


def refused(capsys, *arguments: object) -> str:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hicm")]
    assert len(told) == 1
    return told[0]


def swap(tokenizer: Path) -> None:
    """Exchange two pieces of a saved tokenizer."""
    content = read_json(tokenizer / "tokenizer.json")
    pieces = content["model"]["vocab"]
    pieces[10][0], pieces[11][0] = pieces[11][0], pieces[10][0]
    write_json(tokenizer / "tokenizer.json", content)


def test_a_replaced_tokenizer_is_noticed_wherever_it_is_used(tiny, trained, tmp_path, capsys):
    run = shutil.copytree(trained, tmp_path / "run")
    swap(run / "last" / "tokenizer")
    for command in (["predict", run], ["convert", run, tiny, tmp_path / "converted"],
                    ["train", tiny, "--out", tmp_path / "next", "--set", f"captioner.init={run}"]):
        assert f"{run}/last/tokenizer: has other pieces than those the captioner was trained with" in refused(
            capsys, *command)
    swap(run / "tokenizer")
    assert f"{run}/tokenizer: has other pieces than those with which this run was started; put its own" in refused(
        capsys, "train", tiny, "--out", run)
    (run / "vocabulary.json").unlink()
    about = read_json(run / "last" / "captioner.json")
    assert about.pop("vocabulary")
    write_json(run / "last" / "captioner.json", about)
    assert main(["predict", str(run)]) == 0, "a run of hicm 0.1.0 recorded no digests"


def test_a_run_folder_gives_start_weights(tiny, trained, tmp_path, capsys):
    """From its best or last checkpoint; what else happens in that folder does not matter."""
    first = shutil.copytree(trained, tmp_path / "first")
    own = ["--set", f"captioner.init={first}", "--set", "train.seed=5"]
    assert "nowhere: no tokenizer found in the local cache (offline is on)" in refused(
        capsys, "train", tiny, "--out", tmp_path / "run", *own, "--set", "captioner.tokenizer=nowhere", "--set",
        "offline=true")
    assert main(["train", str(tiny), "--out", str(tmp_path / "run"), *own, "--set", "train.lr=0"]) == 0
    found, _ = from_pretrained(tmp_path / "run")
    assert torch.equal(found.visual_encoder.pos_embed, from_pretrained(first)[0].visual_encoder.pos_embed)
    manifest = read_json(tmp_path / "run" / "manifest.json")
    assert manifest["parents"] == {"captioner.init": read_json(first / "manifest.json")["run"]}
    verbs.predict(str(first))
    assert main(["train", str(tiny), "--out", str(tmp_path / "run"), *own, "--set", "train.lr=0"]) == 0, "the same run"


def test_starts_that_are_none(tiny, trained, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    write_json(tmp_path / "hf" / "config.json", {"model_type": "t5"})
    write_json(tmp_path / "begun" / "manifest.json", {"run": "x"})
    write_json(tmp_path / "quotes" / "best" / "recall.json", {})
    write_json(tmp_path / "data" / "x.json", {})
    (tmp_path / "notes.pth").write_text("weights to come")
    for name, match in {
            "empty": "the folder is empty; give a run folder",
            "hf": "a model of Hugging Face, which goes into captioner.t5",
            "begun": "a run without a checkpoint yet", "data": "no captioner.json there, nor in best or last",
            "quotes": "holds a model of the system recall, not a captioner",
            "notes.pth": "refused (not a file of PyTorch)",
            "gone": "not found; "}.items():
        assert match in refused(capsys, "train", tiny, "--set", f"captioner.init={tmp_path / name}", "--out",
                                tmp_path / "run"), name
    assert "give the folder it lies in" in refused(
        capsys, "train", tiny, "--set", f"captioner.init={trained / 'last' / 'model.safetensors'}", "--out",
        tmp_path / "run")
    assert f"the state of a training, from which that training continues; give its run folder, {trained}," in refused(
        capsys, "train", tiny, "--set", f"captioner.init={trained / 'checkpoint.pt'}", "--out", tmp_path / "run")
    assert "retrieved" not in "".join(path.name for path in tmp_path.iterdir())
    assert main(["train", str(tiny), "--out", str(tmp_path / "run"), "--set", "train.epochs=0"]) == 0, "not in the way"
    capsys.readouterr()
    assert main(["data", "check", str(tiny), "--set", f"captioner.init={tmp_path / 'empty'}"]) != 0
    assert "error: settings: captioner.init" in capsys.readouterr().out


# --- settings that cannot be trained --------------------------------------------------------------------------------

@pytest.mark.parametrize(("overrides", "message"), [
    (["captioner.objective.generative=0", "captioner.objective.denoising=0"], "both 0, so nothing is learnt"),
    (["captioner.objective.generative=0", "data.speech="], "generative is 0, and denoising learns from speech"),
    (["captioner.objective.generative=0", "captioner.use_speech=false"], "denoising learns from speech"),
    (["captioner.t5_config.num_heads=abc"], "captioner.t5_config.num_heads: expected a whole number, found 'abc'"),
    (["captioner.t5_config.num_heads=0"], "captioner.t5_config.num_heads: expected 1 or more, found 0"),
    (["captioner.t5_config.num_heads=2.5"], "captioner.t5_config.num_heads: expected a whole number, found 2.5"),
    (["captioner.t5_config.num_layer=3"], "unknown setting captioner.t5_config.num_layer; the nearest known one is "
                                          "captioner.t5_config.num_layers"),
    (["captioner.t5_config.hidden_size=32"], "unknown setting captioner.t5_config.hidden_size"),
    (["captioner.t5_config.feed_forward_proj=gated_gelu"], "feed_forward_proj: expected one of 'relu'"),
    (["captioner.t5_config.pad_token_id=3"], "pad_token_id: expected 0 to 0, found 3"),
    (["captioner.t5_config.tie_word_embeddings=yes"], "tie_word_embeddings: expected true or false, found 'yes'"),
    (["captioner.t5_config.relative_attention_max_distance=16"], "relative_attention_max_distance=16 needs fewer than"),
    (["captioner.tokenizer="], "captioner.tokenizer: a T5 from scratch has no tokenizer"),
    (["captioner.use_video=false", "captioner.use_speech=false"], "nothing is left to caption"),
])
def test_settings_that_cannot_be_trained(tiny, overrides, message):
    with pytest.raises(UserError) as caught:
        check_settings(load_config(tiny, overrides))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_values_for_a_t5_from_scratch_are_told_to_have_no_effect_on_another(tiny):
    with pytest.warns(UserWarning, match=r"t5_config is for a T5 from scratch and has no effect with captioner.t5"):
        check_settings(load_config(tiny, ["captioner.t5=t5-base"]))


def test_they_are_refused_before_anything_is_read(tiny, tmp_path, capsys):
    assert "nothing is learnt" in refused(
        capsys, "train", tiny, "--out", tmp_path / "run", "--set", "data.features=gone.h5", "--set",
        "captioner.objective.generative=0", "--set", "captioner.objective.denoising=0")
    assert not (tmp_path / "run").exists()
    capsys.readouterr()
    assert main(["data", "check", str(tiny), "--set", "captioner.t5_config.num_heads=abc"]) != 0
    assert "error: settings: captioner.t5_config.num_heads: expected a whole number" in capsys.readouterr().out


def test_a_config_json_may_be_pasted(golden):
    """One of transformers 4.28, as it stands; whole numbers as people write them."""
    given = read_json(golden / "t5tiny" / "config.json")
    t5 = make_t5(Settings(t5="scratch", t5_config={**given, "d_ff": 1e2, "num_decoder_layers": None}), 50, 20)
    assert (t5.config.d_ff, t5.config.num_decoder_layers, t5.config.vocab_size) == (100, 2, 50)
