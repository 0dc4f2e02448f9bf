"""``hicm convert`` on checkpoints of CM2 and PDVC: predictions are those of the model; bad files get one line."""

import json
import warnings
from pathlib import Path

import pytest
import torch

import tests.released as hicm2_file
from hicm import verbs
from hicm.config import load_config
from hicm.data.samples import open_samples
from hicm.decisive import only_predicts
from hicm.errors import UserError
from hicm.files import read_json, sha256
from hicm.stages.convert import conversion_config, convert_checkpoint
from hicm.stages.retrieve import with_recall
from hicm.stages.video_captioner import VideoCaptioner
from hicm.systems.parallel.system import System
from hicm.systems.parallel.vocabulary import Vocabulary
from hicm.systems.parallel.weights import load_model
from hicm.tasks import find_task
from tests.bombs import Bomb
from tests.released_parallel import (
    WORDS,
    make_model,
    released_state,
    set_sizes,
    write_checkpoint,
    write_info,
    write_words,
)
from tests.tiny import make_tiny
from tests.video.videos import write_video

golden, weights, write, released = hicm2_file.golden, hicm2_file.weights, hicm2_file.write, hicm2_file.released
hicm2_settings = hicm2_file.settings


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("tiny"), videos=4, parallel={"decode": {"batch": 2, "max_words": 8}})


@pytest.fixture(scope="module")
def state():
    return released_state(make_model())


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    return write_words(tmp_path_factory.mktemp("words") / "vocabulary_youcook2.json")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, state) -> Path:
    path = write_checkpoint(tmp_path_factory.mktemp("cm2") / "model-best.pth", state)
    write_info(path)
    return path


@pytest.fixture(scope="module")
def run(checkpoint, tiny, words, tmp_path_factory) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # settings that agree with info.json leave nothing to say
        return verbs.convert(str(checkpoint), str(tiny), str(tmp_path_factory.mktemp("runs") / "cm2"),
                             set_=[*set_sizes(), "parallel.decode.max_words=30"], vocabulary=str(words))


def predicted(run: Path, model, tmp_path: Path) -> dict:
    """What the model itself predicts for the videos of the run's settings, without the run's weights and words."""
    config = load_config(run / "config.yaml")
    samples = with_recall(config, open_samples(config.data, "val"), "val", tmp_path / "own.h5")
    task = find_task("dvc")
    return {video: task.to_json(events) for batch in System(config, model, WORDS).predict(samples)
            for video, events in batch.items()}


def test_a_converted_cm2_predicts_what_the_model_does(run, tmp_path):
    path = verbs.predict(str(run))
    results = read_json(path)["results"]
    assert results == predicted(run, make_model(), tmp_path) and sum(map(len, results.values())) > 3
    assert any(event["sentence"] for events in results.values() for event in events)
    verbs.evaluate(str(run), metrics=["CIDEr"])
    assert read_json(run / "metrics_val.json")


def test_a_converted_pdvc_predicts_what_the_model_does(tiny, words, tmp_path):
    model = make_model(memory=False)
    path = write_checkpoint(tmp_path / "model-best.pth", released_state(model))
    write_info(path)
    with pytest.warns(UserWarning, match="trained with frame_embedding_num=100, data.frames=0"):
        run = verbs.convert(str(path), str(tiny), str(tmp_path / "run"), vocabulary=str(words),
                            set_=[*set_sizes(), "retrieval.search=none"])
    manifest = read_json(run / "manifest.json")
    assert any("here data.sampling=even; set data.sampling=nearest" in line for line in manifest["warnings"])
    assert manifest["source"]["kind"] == "pdvc" and manifest["bank"] is None and not (run / "bank").exists()
    assert set(manifest["keys"]["never_read"]) == {"pos_trans", "attention_weights, output_proj of the captioner"}
    results = read_json(verbs.predict(str(run)))["results"]
    assert results == predicted(run, model, tmp_path)


def test_the_run_folder_accounts_for_every_key(run, checkpoint, words, state):
    assert {path.name for path in run.iterdir()} >= {"config.yaml", "manifest.json", "README.md", "best", "bank"}
    manifest, config = read_json(run / "manifest.json"), load_config(run / "config.yaml")
    assert config.system == "parallel" and config.preset == "released" and config.room.vocabulary == ""
    source, keys = manifest["source"], manifest["keys"]
    assert (source["kind"], source["epoch"], source["sha256"]) == ("cm2", 25, sha256(checkpoint))
    assert manifest["dropped"] == ["optimizer"] and manifest["args"]["num_queries"] == 6
    assert manifest["inputs"].keys() == {str(checkpoint), str(words), str(checkpoint.with_name("info.json"))}
    dead = keys["never_read"]
    assert dead["clip_model"] == {"tensors": 2, "why": "CLIP, for a contrastive loss that is switched off"}
    assert len(state) == 236 == len(keys["renamed"]) + sum(about["tensors"] for about in dead.values())
    assert keys["used"] == 151 == len(set(keys["renamed"].values()))
    assert manifest["selected"]["metric"] == "METEOR+soda_c"
    card = (run / "README.md").read_text()
    for told in ("CM2 (Kim et al.", "8 words", "6 queries", "`norm_t` (4 tensors", "hicm predict cm2"):
        assert told in card
    model, vocabulary = load_model(run / "best")
    assert vocabulary.words == WORDS.words and model.memory_width == 24
    shared = verbs.push(str(run), "owner/name", dry_run=True)
    assert "best/vocabulary.json" in shared and "best/model.safetensors" in shared and "bank/" in shared


def test_the_same_again_does_nothing_and_other_words_are_another_run(run, checkpoint, tiny, words, tmp_path):
    options = [*set_sizes(), "parallel.decode.max_words=30"]
    before = (run / "manifest.json").stat().st_mtime_ns
    verbs.convert(str(checkpoint), str(tiny), str(run), set_=options, vocabulary=str(words))
    assert (run / "manifest.json").stat().st_mtime_ns == before
    other = write_words(tmp_path / "other.json", Vocabulary(["other", *WORDS.words[1:]]))
    with pytest.raises(UserError, match="with other weights or settings"):
        verbs.convert(str(checkpoint), str(tiny), str(run), set_=options, vocabulary=str(other))


def test_the_system_is_told_by_the_weights_where_the_settings_name_none(checkpoint, released, tiny, run):
    assert conversion_config(checkpoint, tiny).system == "parallel"
    assert conversion_config(run, tiny).system == "parallel"
    assert conversion_config(released, tiny).system == "captioner"
    assert conversion_config("absent.pth", tiny).system == "captioner"
    with pytest.raises(UserError, match="holds weights of the system parallel, the settings are for captioner"):
        conversion_config(checkpoint, tiny, ["system=captioner"])
    with pytest.raises(UserError, match="holds weights of the system captioner, the settings are for parallel"):
        conversion_config(released, tiny, ["system=parallel"])
    with pytest.raises(UserError, match=r"the system captioner reads no file of words"):
        conversion_config(released, tiny, vocabulary="words.json")
    with pytest.raises(UserError, match="system recall: no released weights"):
        convert_checkpoint(checkpoint, load_config(tiny, ["system=recall"]), "nowhere")


def test_only_what_may_change_after_training_is_left_out_of_a_conversion():
    assert only_predicts("parallel", "parallel.decode.batch=1") and only_predicts("captioner", "predict.beams=2")
    assert only_predicts("captioner", "captioner.mask_padding=false")
    assert not only_predicts("parallel", "parallel.queries=3") and not only_predicts("captioner", "captioner.init=x")
    assert not only_predicts("captioner", "parallel.decode.batch=1") and not only_predicts("recall", "data.frames=3")


def test_predict_converts_once(checkpoint, tiny, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = [*set_sizes(), f"parallel.vocabulary={words}"]
    first = verbs.predict(str(checkpoint), config=str(tiny), set_=options)
    second = verbs.predict(str(checkpoint), config=str(tiny), out=str(tmp_path / "few.json"),
                           set_=[*options, "parallel.decode.caption_weight=0"])
    assert len(list(Path("presave/converted").iterdir())) == 1
    assert read_json(second)["decided_by"]["settings"]["parallel.decode.caption_weight"] == 0
    assert "parallel.decode.caption_weight" not in read_json(first)["decided_by"]["settings"]


def test_a_converted_run_captions_a_video_file(run, tmp_path):
    write_video(tmp_path / "scenes.mp4", [0.0, 4.0], 8.0)
    captioned = VideoCaptioner(str(run), encoder="blocks:24", cache=tmp_path / "cache").caption(tmp_path / "scenes.mp4")
    assert captioned.events and all(0 <= event.span.start <= event.span.end <= 8.1 for event in captioned.events)


def test_a_training_starts_from_a_converted_run(run, tiny, tmp_path):
    options = ["train.epochs=1", "train.eval_every=0", "data.select=", *set_sizes(), f"parallel.init={run}"]
    trained = verbs.train(str(tiny), out=str(tmp_path / "tuned"), set_=options)
    assert read_json(trained / "manifest.json")["parents"]["parallel.init"].startswith("model-best-")
    model, vocabulary = load_model(trained / "last")
    start = load_model(run / "best")[0]
    assert vocabulary.words == WORDS.words
    moved = [(value - start.state_dict()[name]).abs().max().item() for name, value in model.state_dict().items()]
    assert 0 < max(moved) < 0.05, "it went on from there"
    for wrong, told in ((["parallel.queries=7"], "was trained with parallel.queries=6, found 7"),
                        (["retrieval.search=none"], "reads recalled vectors 24 wide, the data have no recalled"),
                        ([f"parallel.init={tiny}"], "is a file; convert a released checkpoint first"),
                        ([f"parallel.init={tiny.parent}"], r"no parallel\.json there"),
                        (["parallel.init=nowhere"], "nowhere: parallel.init: checkpoint not found")):
        with pytest.raises(UserError, match=told):
            verbs.train(str(tiny), out=str(tmp_path / "no"), set_=[*options, *wrong])


def test_a_run_of_ours_is_converted_under_other_settings(run, tiny, tmp_path):
    out = verbs.convert(str(run), str(tiny), str(tmp_path / "again"),
                        set_=[*set_sizes(), "parallel.decode.caption_weight=0.5"])
    assert load_config(out / "config.yaml").room.decode.caption_weight == 0.5
    assert read_json(out / "manifest.json")["source"]["kind"] == "hicm"
    assert sha256(out / "best" / "model.safetensors") == sha256(run / "best" / "model.safetensors")
    with pytest.raises(UserError, match=r"was trained with parallel\.queries=6, found 9"):
        verbs.convert(str(run), str(tiny), str(tmp_path / "no"), set_=set_sizes(queries=9))


# what does not fit

@pytest.fixture
def refuse(state, tiny, words, tmp_path):
    """Write a checkpoint and convert it; returns the one line with which it is refused."""
    def refuse(change=len, set_=(), file=None, vocabulary=words, info=None, **more) -> str:
        path = file or write_checkpoint(tmp_path / "c" / "model-best.pth", state, change, **more)
        if info is not None:
            write_info(path, **info)
        with pytest.raises(UserError) as caught:
            verbs.convert(str(path), str(tiny), str(tmp_path / "run"), set_=[*set_sizes(), *set_],
                          vocabulary=str(vocabulary) if vocabulary else "")
        assert not (tmp_path / "run").exists() and "\n" not in str(caught.value)
        return str(caught.value)
    return refuse


@pytest.mark.parametrize(("change", "told"), [
    (lambda s: s.update({"transformer.extra.weight": torch.ones(2)}), "holds transformer.extra.weight, which CM2 and"),
    (lambda s: s.pop("query_embed.weight"), "missing keys: decoder.embeddings.weight"),
    (lambda s: [s.pop(f"caption_head.{n}.core.rnn.weight_hh_l0") for n in (0, 1)],
     "missing keys: captions.hidden.weight"),
    (lambda s: s.pop("transformer.decoder.bbox_head.1.layers.2.bias"),
     "missing keys: transformer.decoder.bbox_head.1.layers.2.bias, which are there under a second name only"),
    (lambda s: s.update({"caption_head.1.embed.weight": s["caption_head.1.embed.weight"] + 1}),
     "caption_head.1.embed.weight differ from their copies"),
    (lambda s: s.update({"class_head.0.bias": s["class_head.0.bias"].long()}), "class_head.0.bias (torch.strided"),
    (lambda s: s.update({"class_head.0.bias": s["class_head.0.bias"] * torch.nan}), "finite, in heads.0.event.bias"),
    (lambda s: s.update({"class_head.0.weight": torch.ones(1, 5)}), "heads.0.event.weight (1, 5) instead of (1, 32)"),
    (lambda s: s.update({"caption_head.0.rnn.weight_ih_l0": torch.ones(2)}), "PDVC's light captioner"),
    (lambda s: [s.pop(name) for name in list(s) if name.startswith(("down_proj", "transformer.decoder.layers.0.text"))],
     "reads no memory (PDVC)"),
    (lambda s: s.pop("transformer.level_embed"), "holds no weights of CM2 or PDVC"),
    (lambda s: s.clear(), "expected a state dict"),
])
def test_keys_that_do_not_fit(refuse, change, told):
    assert told in refuse(change)


@pytest.mark.parametrize(("set_", "told"), [
    (["parallel.queries=10"], "the file has 6 queries, parallel.queries=10"),
    (["parallel.max_events=10"], "21 classes of the counter, one more than events, parallel.max_events=10 makes 11"),
    (["parallel.width=64", "parallel.hidden=48"], "32 units (d), parallel.width=64 makes 64; the file has 32 units in"),
    (["parallel.levels=3", "parallel.encoder_layers=1"], "4 time scales, parallel.levels=3"),
    (["parallel.heads=4"], "has 16 points in all heads, parallel.heads=4 makes 32"),
    (["retrieval.search=none"], "reads a memory (CM2), but retrieval.search=none"),
])
def test_settings_that_do_not_fit(refuse, set_, told):
    assert told in refuse(set_=set_)


@pytest.mark.parametrize(("info", "told"), [
    ({"text_crossAttn_loc": "before"}, "was trained with text_crossAttn_loc=before (here always after)"),
    ({"ret_encoder": "attention", "with_box_refine": 0}, "ret_encoder=attention (here always avg), with_box_refine=0"),
    ({"retrieval_ablation": "no_ret"}, "was trained with retrieval_ablation=no_ret (here always None)"),
    ({"nheads": 4, "enc_n_points": 1}, "other values of parallel.heads, parallel.points; set parallel.heads=4, "),
])
def test_arguments_that_another_network_needs(refuse, info, told):
    assert told in refuse(info=info)


def test_arguments_that_differ_are_told(state, tiny, words, tmp_path):
    path = write_checkpoint(tmp_path / "c" / "model-best.pth", state)
    write_info(path, soft_k=80, ec_alpha=0.3)
    with pytest.warns(UserWarning) as said:
        run = verbs.convert(str(path), str(tiny), str(tmp_path / "run"), vocabulary=str(words),
                            set_=[*set_sizes(), "parallel.decode.max_words=30", "retrieval.search=descend"])
    lines = ["trained with ec_alpha=0.3, parallel.decode.caption_weight=1.0",
             "trained with soft_k=80, retrieval.top_k=2",
             "the published program has retrieval.search=flat (here descend); --set preset=released behaves the same"]
    assert read_json(run / "manifest.json")["warnings"] == lines
    assert [str(one.message).split(": ", 1)[1] for one in said] == lines


@pytest.mark.parametrize("content", ["[]", '{"best": []}', '{"best": {"opt": 3}}', "{"])
def test_a_damaged_info_is_refused(refuse, state, tmp_path, content):
    path = write_checkpoint(tmp_path / "c" / "model-best.pth", state)
    path.with_name("info.json").write_text(content)
    assert "info.json" in refuse(file=path)


def test_words_that_do_not_fit(refuse, tmp_path):
    few = write_words(tmp_path / "few.json", Vocabulary(WORDS.words[2:]))
    assert "knows 8 words, the vocabulary has 6; give the one" in refuse(vocabulary=few)
    assert "holds no words; give those it was trained with, parallel.vocabulary=FILE" in refuse(vocabulary=None)
    assert "absent.json: vocabulary not found" in refuse(vocabulary=tmp_path / "absent.json")
    (tmp_path / "odd.json").write_text(json.dumps({"chop": 1}))
    assert "expected a vocabulary" in refuse(vocabulary=tmp_path / "odd.json")


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(refuse, checkpoint, tmp_path, part):
    cut = tmp_path / "cut.pth"
    cut.write_bytes(checkpoint.read_bytes()[:int(part * checkpoint.stat().st_size)])
    assert "checkpoint refused" in refuse(file=cut)


@pytest.mark.parametrize("place", ["model", "optimizer", "opt"])
def test_a_pickle_that_runs_code_is_refused_unrun(refuse, tmp_path, place):
    bomb = Bomb(tmp_path / "ran")
    told = refuse(lambda s: s.update({"clip_model.x": bomb})) if place == "model" else refuse(**{place: bomb})
    assert "checkpoint refused" in told and not (tmp_path / "ran").exists()


def test_a_file_of_hicm2_is_refused_as_cm2(refuse, released):
    assert "holds weights of the system captioner, the settings are for parallel" in refuse(file=released)


def test_a_memory_is_not_added(checkpoint, tiny, words, tmp_path):
    with pytest.raises(UserError, match="--fresh-memory is for checkpoints of the captioner"):
        verbs.convert(str(checkpoint), str(tiny), str(tmp_path / "run"), set_=set_sizes(), vocabulary=str(words),
                      fresh_memory=True)
