"""``hicm convert`` on checkpoints of MESM: every published configuration, the model, one line for bad files."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import tests.released_parallel as cm2_file
from hicm import verbs
from hicm.config import load_config
from hicm.data.features import write_features
from hicm.data.samples import open_samples
from hicm.errors import UserError
from hicm.files import read_json, sha256, write_json
from hicm.stages.convert import conversion_config
from hicm.systems.moments.collate import collate
from hicm.systems.moments.convert import recognises
from hicm.systems.moments.model import Moments
from hicm.systems.moments.names import is_used, own_name, own_state
from hicm.systems.moments.settings import Settings
from hicm.systems.moments.system import System
from hicm.systems.moments.vocabulary import Vocabulary
from hicm.systems.moments.weights import load_model
from hicm.systems.moments.words import make_words
from tests.bombs import Bomb
from tests.released_moments import (
    PUBLISHED,
    SEPARATE,
    SMALL,
    WORDS,
    arguments,
    count,
    random_state,
    set_sizes,
    shapes,
    write_checkpoint,
    write_counts,
    write_options,
)
from tests.systems.moments import moments_golden as made
from tests.systems.moments.moments_made_up import make_item

ROWS = {"aaaaaaaaaaa": 14, "bbbbbbbbbbb": 9}


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    write_features(folder / "features.h5", {video: rng.standard_normal((rows, 16)) for video, rows in ROWS.items()})
    write_json(folder / "val.json", {
        video: {"duration": rows + 0.5, "timestamps": [[0, 4], [2, 6]], "sentences": ["a dog sits", "it eats"]}
        for video, rows in ROWS.items()})
    write_json(folder / "settings.yaml", {
        "system": "moments", "train": {"select_on": "mAP"},
        "data": {"name": "x", "annotations": {"val": [str(folder / "val.json")]},
                 "features": str(folder / "features.h5")}})
    return folder / "settings.yaml"


@pytest.fixture(scope="module")
def counts(tmp_path_factory) -> Path:
    return write_counts(tmp_path_factory.mktemp("counts") / "GloVe_tokenized_count.txt")


@pytest.fixture(scope="module")
def state():
    return random_state(SMALL)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, state) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("mesm") / "model_test_best.ckpt", state)


@pytest.fixture(scope="module")
def run(checkpoint, settings, counts, tmp_path_factory) -> Path:
    return verbs.convert(str(checkpoint), str(settings), str(tmp_path_factory.mktemp("runs") / "mesm"),
                         set_=set_sizes(), vocabulary=str(counts))


# names and shapes

@pytest.mark.parametrize("name", PUBLISHED)
def test_every_name_of_the_published_configurations_is_known(name):
    size, tensors, values = PUBLISHED[name]
    theirs = shapes(size)
    assert (len(theirs), count(theirs)) == (tensors, values)
    with torch.device("meta"):
        model = Moments(Settings(shared_feed=size.shared), size.video, size.text, size.classes)
    renamed = {own_name(key): shape for key, shape in theirs.items() if is_used(key)}
    assert renamed == {key: tuple(value.shape) for key, value in model.state_dict().items()}
    assert len(renamed) == sum(map(is_used, theirs)) == tensors - 11 and recognises(theirs)


def test_the_parts_are_as_large_as_published():
    theirs = shapes(PUBLISHED["charades_vgg"][0])
    assert {part: count(theirs, part) for part in (
        "enhance_encoder.", "t2v_encoder.", "transformer.", "ss_reconstructor.", "input_vid_proj.", "input_txt_proj.",
        "output_txt_proj.", "saliency_proj", "span_embed.", "class_embed.", "query_embed.", "txt_position_embed.")} == {
        "enhance_encoder.": 1_579_522, "t2v_encoder.": 1_579_522, "transformer.": 4_740_359,
        "ss_reconstructor.": 3_291_908, "input_vid_proj.": 1_123_844, "input_txt_proj.": 143_960,
        "output_txt_proj.": 352_088, "saliency_proj": 131_584, "span_embed.": 132_098, "class_embed.": 514,
        "query_embed.": 20, "txt_position_embed.": 4_864}


# the model

def make_system(config, state, size=SMALL) -> System:
    model = Moments(config.room, size.video, size.text, size.classes)
    model.load_state_dict(own_state(state))
    return System(config, model.eval(), Vocabulary(WORDS, False), make_words(config.room.words))


def predicted(run: Path, state, size=SMALL) -> dict:
    """What a network with the checkpoint's weights finds under the run's settings."""
    config = load_config(run / "config.yaml")
    found = {}
    for batch in make_system(config, state, size).predict(open_samples(config.data, "val")):
        found |= batch
    return found


def test_a_converted_checkpoint_predicts_what_the_model_does(run, state):
    results = read_json(verbs.predict(str(run)))["results"]
    expected = predicted(run, state)
    assert results.keys() == expected.keys() == ROWS.keys()
    for video, found in expected.items():
        assert [one["query"] for one in results[video]] == ["a dog sits", "it eats"]
        for one, other in zip(results[video], found, strict=True):
            np.testing.assert_allclose(one["windows"], other.windows, atol=1e-6)
    assert read_json(run / "manifest.json")["warnings"] == []


def test_word_vectors_of_another_width_are_refused_at_prediction(run, state):
    """CLIP's width is not known before its model is loaded, so a conversion does not compare it."""
    config = load_config(run / "config.yaml")
    system = make_system(config, state)
    system.words = make_words("each:hashing:12")
    with pytest.raises(UserError, match=r"word vectors are 12 wide, the model reads 16; set moments\.words"):
        list(system.predict(open_samples(config.data, "val")))


def test_separate_networks_for_words_as_for_tacos(settings, counts, tmp_path):
    state = random_state(SEPARATE, 1)
    path = write_checkpoint(tmp_path / "model_best.ckpt", state, opt=None)
    run = verbs.convert(str(path), str(settings), str(tmp_path / "run"), set_=set_sizes(shared_feed=False),
                        vocabulary=str(counts))
    model = load_model(run / "best")[0]
    own = own_state(state)
    assert any(".closings.1." in name for name in own)
    assert all(torch.equal(value, own[name]) for name, value in model.state_dict().items())


def test_the_run_folder_accounts_for_every_key(run, checkpoint, counts, state):
    manifest, config = read_json(run / "manifest.json"), load_config(run / "config.yaml")
    assert (config.system, config.preset, config.room.counts) == ("moments", "released", "")
    source, keys = manifest["source"], manifest["keys"]
    assert (source["kind"], source["epoch"], source["sha256"]) == ("mesm", 7, sha256(checkpoint))
    assert manifest["dropped"] == ["lr_scheduler", "optimizer"]
    assert manifest["args"]["num_queries"] == 4 and manifest["args"]["device"] == "cuda"
    assert manifest["inputs"].keys() == {str(checkpoint), str(counts)}
    assert {start: about["tensors"] for start, about in keys["never_read"].items()} == {
        "txt_position_embed.": 3, "ss_reconstructor.output_sent_proj.": 8}
    assert len(state) == len(keys["renamed"]) + 11 and keys["used"] == len(set(keys["renamed"].values()))
    assert manifest["selected"]["metric"] == "mAP"
    card = (run / "README.md").read_text()
    for told in ("MESM (Liu et al.", "4 windows per query", "features 16 wide and 2 columns", "5 words",
                 "tags: [video-moment-retrieval]", "`txt_position_embed.` (3 tensors"):
        assert told in card
    _, vocabulary, words = load_model(run / "best")
    assert vocabulary == Vocabulary(WORDS, False) and words == "each:hashing:16"


def test_options_beside_the_file_are_read_where_it_has_none(state, settings, counts, tmp_path):
    path = write_checkpoint(tmp_path / "model.ckpt", state, opt=None)
    write_options(path, rank_coef=1, max_video_l=600, clip_len=1)
    with pytest.warns(UserWarning) as said:
        run = verbs.convert(str(path), str(settings), str(tmp_path / "run"), set_=set_sizes(), vocabulary=str(counts))
    lines = ["trained with max_video_l=600, data.frames=100", "trained with rank_coef=1, moments.objective.rank=12.0",
             "trained with clip_len=1, moments.decode.grid=0.0"]
    manifest = read_json(run / "manifest.json")
    assert manifest["warnings"] == lines and [str(one.message).split(": ", 1)[1] for one in said] == lines
    assert str(path.with_name("opt.json")) in manifest["inputs"] and manifest["args"]["rank_coef"] == 1


def test_the_system_is_told_by_the_weights(checkpoint, run, settings):
    bare = load_config(None, ["system=captioner"])
    assert bare.system == "captioner" and conversion_config(checkpoint, settings).system == "moments"
    assert conversion_config(run, settings).system == "moments"
    with pytest.raises(UserError, match="holds weights of the system moments, the settings are for parallel"):
        conversion_config(checkpoint, settings, ["system=parallel"])
    assert not recognises(shapes(SMALL).keys() - {"ss_reconstructor.masked_sent_token"}), "QD-DETR has no such token"


def test_other_settings_of_a_run_of_ours(run, settings, counts, tmp_path):
    out = verbs.convert(str(run), str(settings), str(tmp_path / "again"),
                        set_=[*set_sizes(), "moments.decode.moments=2"])
    assert load_config(out / "config.yaml").room.decode.moments == 2
    assert read_json(out / "manifest.json")["source"]["kind"] == "hicm"
    assert sha256(out / "best" / "model.safetensors") == sha256(run / "best" / "model.safetensors")
    with pytest.raises(UserError, match=r"was trained with moments\.queries=4, found 9"):
        verbs.convert(str(run), str(settings), str(tmp_path / "no"), set_=set_sizes(queries=9))


@pytest.mark.parametrize("preset", ["released", ""])
def test_without_the_preset_the_card_says_what_is_published(checkpoint, settings, counts, tmp_path, recwarn, preset):
    run = verbs.convert(str(checkpoint), str(settings), str(tmp_path / "run"), vocabulary=str(counts),
                        set_=[*set_sizes(), f"preset={preset}"])
    [*said] = read_json(run / "manifest.json")["warnings"]
    assert bool(said) == (not preset) and all("moments.mixed_padding=True (here False)" in line for line in said)


# what does not fit

@pytest.fixture
def refuse(state, settings, counts, tmp_path):
    """Write a checkpoint and convert it; returns the one line with which it is refused."""
    def refuse(change=len, set_=(), file=None, vocabulary=counts, **more) -> str:
        path = file or write_checkpoint(tmp_path / "c" / "model_best.ckpt", state, change, **more)
        with pytest.raises(UserError) as caught:
            verbs.convert(str(path), str(settings), str(tmp_path / "run"), set_=[*set_sizes(), *set_],
                          vocabulary=str(vocabulary) if vocabulary else "")
        assert not (tmp_path / "run").exists() and "\n" not in str(caught.value)
        return str(caught.value)
    return refuse


@pytest.mark.parametrize(("change", "told"), [
    (lambda s: s.update({"extra.weight": torch.ones(2)}), "holds extra.weight, which MESM's checkpoints do not"),
    (lambda s: s.update({"transformer.encoder.token": torch.ones(32)}),
     "holds global_rep_token, transformer.encoder.token, which MESM's"),
    (lambda s: s.update({"transformer.decoder.layers.0.more.weight": torch.ones(2)}),
     "unused keys: decoder.layers.0.more.weight"),
    (lambda s: s.pop("query_embed.weight"), "missing keys: decoder.anchors"),
    (lambda s: s.pop("class_embed.bias"), "missing keys: label.bias"),
    (lambda s: s.pop("input_vid_proj.0.LayerNorm.weight"), "missing keys: video.0.norm.weight"),
    (lambda s: s.update({"class_embed.bias": s["class_embed.bias"].long()}), "class_embed.bias (torch.strided"),
    (lambda s: s.update({"class_embed.bias": s["class_embed.bias"] * torch.nan}), "not finite, in label.bias"),
    (lambda s: s.update({"class_embed.weight": torch.ones(2, 5)}), "label.weight (2, 5) instead of (2, 32)"),
    (lambda s: s.update({"transformer.encoder.layers.1.norm1.bias": torch.ones(32)}),
     "the file has 2 encoder layers, moments.encoder_layers=1"),
    (lambda s: s.pop("ss_reconstructor.masked_sent_token"), "holds no weights of MESM"),
    (lambda s: s.clear(), "expected a state dict"),
])
def test_keys_that_do_not_fit(refuse, change, told):
    assert told in refuse(change)


def test_the_frozen_encoder_is_left_out_where_it_was_kept(state, settings, counts, tmp_path):
    path = write_checkpoint(tmp_path / "m.ckpt", state, lambda s: s.update({"text_encoder.x": torch.ones(2).half()}))
    run = verbs.convert(str(path), str(settings), str(tmp_path / "run"), set_=set_sizes(), vocabulary=str(counts))
    assert read_json(run / "manifest.json")["keys"]["never_read"]["text_encoder."]["tensors"] == 1


@pytest.mark.parametrize(("set_", "told"), [
    (["moments.queries=10"], "the file has 4 windows per query, moments.queries=10"),
    (["moments.width=64", "moments.hidden=48"], "32 units (d), moments.width=64; the file has 32 units in a feed-"),
    (["moments.word_layers=2", "moments.aligner_layers=2"], "1 layers of frames and words, moments.word_layers=2; the"),
    (["moments.sentence_layers=4"], "1 layers of the sentence token, moments.sentence_layers=4"),
    (["moments.context=none"], "the file has a sentence token, moments.context=none"),
    (["moments.context=both"], "the file has no vector for recalled texts, moments.context=both"),
    (["moments.decoder_layers=2"], "1 decoder layers, moments.decoder_layers=2"),
    (["moments.shared_feed=false"], "the file has one network for frames that attend to words and words that attend to "
                                    "frames, moments.shared_feed=false"),
    (["moments.word_layers=0"], "1 layers of frames and words, moments.word_layers=0"),
    (["moments.classes=4"], "tells 6 classes of words apart, moments.classes=4 and moments.words=each:hashing:16 make "
                            "5"),
    (["moments.classes=6"], "counts 5 words, moments.classes=6 needs as many"),
    (["moments.words=each:hashing:12"], "reads word vectors 16 wide, those of moments.words=each:hashing:12 are 12"),
])
def test_settings_that_do_not_fit(refuse, set_, told):
    assert told in refuse(set_=set_)


@pytest.mark.parametrize(("changes", "told"), [
    ({"use_tef": False}, "was trained with use_tef=False (here always True)"),
    ({"nheads": 4}, "other values of moments.heads; set moments.heads=4"),
])
def test_arguments_that_another_network_needs(refuse, changes, told):
    assert told in refuse(opt=argparse.Namespace(**arguments(**changes)))


def test_words_that_do_not_fit(refuse, tmp_path):
    few = write_counts(tmp_path / "few.txt", WORDS[:3])
    assert "few.txt: counts 3 words, moments.classes=5 needs as many" in refuse(vocabulary=few)
    assert "holds no words; give the file of counts that it was trained with, moments.counts=FILE" in refuse(
        vocabulary=None)
    assert "absent.txt: file of counts not found" in refuse(vocabulary=tmp_path / "absent.txt")
    (tmp_path / "pieces.txt").write_text("320 5\n269 4\n")
    assert "counts pieces of words as CLIP numbers them, but moments.words needs words" in refuse(
        vocabulary=tmp_path / "pieces.txt")


@pytest.mark.parametrize("content", ["[]", "{", "3"])
def test_damaged_options_are_refused(refuse, state, tmp_path, content):
    path = write_checkpoint(tmp_path / "c" / "model.ckpt", state, opt=None)
    path.with_name("opt.json").write_text(content)
    assert "opt.json" in refuse(file=path)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(refuse, checkpoint, tmp_path, part):
    cut = tmp_path / "cut.ckpt"
    cut.write_bytes(checkpoint.read_bytes()[:int(part * checkpoint.stat().st_size)])
    assert "checkpoint refused" in refuse(file=cut)


@pytest.mark.parametrize("place", ["model", "optimizer", "opt", "lr_scheduler"])
def test_a_pickle_that_runs_code_is_refused_unrun(refuse, tmp_path, place):
    bomb = Bomb(tmp_path / "ran")
    told = refuse(lambda s: s.update({"text_encoder.x": bomb})) if place == "model" else refuse(**{place: bomb})
    assert "checkpoint refused" in told and not (tmp_path / "ran").exists()


def test_a_file_of_cm2_is_no_file_of_mesm(refuse, tmp_path):
    path = cm2_file.write_checkpoint(tmp_path / "model-best.pth", cm2_file.released_state(cm2_file.make_model()))
    assert "holds weights of the system parallel, the settings are for moments" in refuse(file=path)


# full size

def write_settings(folder: Path) -> str:
    return str(write_json(folder / "settings.yaml", {"system": "moments"}))


def sized(item, size):
    """An item whose rows and word vectors are as wide as those of a configuration."""
    rng = np.random.default_rng(0)
    return replace(item, rows=rng.standard_normal((len(item.rows), size.video)).astype(np.float32), queries=tuple(
        replace(query, words=rng.standard_normal((len(query.words), size.text)).astype(np.float32))
        for query in item.queries))


@pytest.mark.slow
@pytest.mark.parametrize("name", made.case_names() or [pytest.param("", marks=pytest.mark.skip("needs the golden"))])
def test_a_converted_golden_computes_what_the_published_code_does(name, tmp_path):
    """Weights and outputs of the reference implementation, through a checkpoint file."""
    case = made.read_case(name)
    config = case.config
    state = {key: made.weight(case, key, shape) for key, shape in case.parameter_shapes.items()}
    path = write_checkpoint(tmp_path / "model_best.ckpt", state, opt=None)
    lines = [" ".join(map(str, row)) for row in case.vocabulary["clip_ids_by_count"]]
    counts = tmp_path / "counts.txt"
    counts.write_text("\n".join(lines) + "\n")
    run = verbs.convert(str(path), write_settings(tmp_path), str(tmp_path / "run"), vocabulary=str(counts), set_=[
        "preset=released", f"moments.classes={config.vocab_size}", f"moments.max_words={config.max_words_l}",
        f"moments.grouping={made.settings_of(case, 'released').grouping}"])
    model, vocabulary, _ = load_model(run / "best")
    assert vocabulary == made.vocabulary(case)
    with torch.inference_mode():
        output = model(made.make_batch(name))
    for layer, found in enumerate(output.layers):
        made.close(found.labels, case.arrays["released.pred_logits"][layer], 2e-4)
        made.close(found.boxes, case.arrays["released.pred_spans"][layer], 2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["charades_vgg", "charades_csf", "tacos", "qvhighlights"])
def test_every_configuration_in_its_own_size(name, tmp_path):
    """From a file to a saved model: every weight is there, and the outputs are those of the network it came from."""
    size, _, _ = PUBLISHED[name]
    state = random_state(size)
    path = write_checkpoint(tmp_path / "model_best.ckpt", state, opt=None)
    counts = write_counts(tmp_path / "counts.txt", tuple(f"w{place}" for place in range(size.classes - 1)))
    run = verbs.convert(str(path), write_settings(tmp_path), str(tmp_path / "run"), vocabulary=str(counts), set_=[
        "preset=released", f"moments.words=each:hashing:{size.text}",
        f"moments.classes={size.classes - 1}", f"moments.shared_feed={str(size.shared).lower()}"])
    model, _, _ = load_model(run / "best")
    other = Moments(model.settings, size.video, size.text, size.classes)
    other.load_state_dict(own_state(state))
    batch = collate([[sized(make_item(1, rows, asked), size)] for rows, asked in ((20, 2), (7, 1))])
    with torch.inference_mode():
        one, two = model(batch), other.eval()(batch)
    assert torch.equal(one.layers[-1].boxes, two.layers[-1].boxes)
    assert torch.equal(one.encoded.saliency, two.encoded.saliency)
