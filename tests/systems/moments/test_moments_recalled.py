"""Texts of the memory that sentences recall: in training, in prediction, and what the network makes of them."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from hicm import verbs
from hicm.config import load_config
from hicm.data.samples import SampleList, open_samples
from hicm.errors import UserError
from hicm.files import read_json
from hicm.rooms import check_settings
from hicm.stages.build_memory import build_memory
from hicm.systems.base import find_system
from hicm.systems.moments.batch import Batch
from hicm.systems.moments.collate import Item, collate
from hicm.systems.moments.draw import draw
from hicm.systems.moments.objective import LossModule, loss_names
from hicm.systems.moments.system import System
from tests.rooms.conftest import hicm
from tests.systems.moments.moments_made_up import SMALL, WORD_WIDTH, make_item, make_model
from tests.tiny import make_tiny
from tests.video.videos import write_video

BOTH = replace(SMALL, context="both")


def with_texts(item: Item, *counts: int) -> Item:
    """The same with made-up recalled texts, so many for each query."""
    rng = np.random.default_rng(len(item.rows))
    texts = [rng.standard_normal((count, WORD_WIDTH)).astype(np.float32) for count in counts]
    return replace(item, queries=tuple(replace(one, recalled=some)
                                       for one, some in zip(item.queries, texts, strict=True)))


def together(*items: Item) -> Batch:
    return collate([[item] for item in items])


def boxes(model, batch: Batch) -> torch.Tensor:
    with torch.no_grad():
        return model(batch).layers[-1].boxes


# --- the network

def test_the_batch_changes_nothing():
    model = make_model(BOTH)
    items = [with_texts(make_item(1, 12, 2), 3, 0), with_texts(make_item(2, 7, 1), 5), make_item(3, 9, 1)]
    found = boxes(model, together(*items))
    alone = [boxes(model, together(replace(item, queries=(query,)))) for item in items for query in item.queries]
    torch.testing.assert_close(found, torch.cat(alone), atol=2e-5, rtol=0)


def test_recalled_texts_are_read_and_their_order_is_not():
    model = make_model(BOTH)
    item = with_texts(make_item(1), 4)
    [query] = item.queries
    found = boxes(model, together(item))
    turned = replace(item, queries=(replace(query, recalled=query.recalled[::-1]),))
    torch.testing.assert_close(found, boxes(model, together(turned)), atol=1e-5, rtol=0)
    assert (found - boxes(model, together(with_texts(item, 3)))).abs().max() > 1e-3
    assert (found - boxes(model, together(with_texts(item, 0)))).abs().max() > 1e-3


def test_a_recalled_text_is_no_word():
    """A learned vector tells them apart."""
    model = make_model(replace(SMALL, context="recalled"))
    batch = together(with_texts(make_item(1), 2))
    found = boxes(model, batch)
    with torch.no_grad():
        model.recalled.zero_()
    assert (found - boxes(model, batch)).abs().max() > 1e-4


@pytest.mark.parametrize("context", ["none", "token", "recalled", "both"])
def test_the_gradient_reaches_every_weight(context):
    settings = replace(SMALL, context=context)
    model = make_model(settings).train()
    batch = together(with_texts(make_item(1, 12, 2), 3, 0), with_texts(make_item(2, 7, 1), 2))
    LossModule(model, settings.objective).of(model(batch, draw(batch)), batch, draw(batch)).sum().backward()
    idle = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert not idle
    assert (model.sentence is None) == (context in ("none", "recalled"))
    assert (model.recalled is None) == (context in ("none", "token"))
    assert model.recalled is None or model.recalled.grad.abs().max() > 0


def test_nothing_recalled_still_trains():
    """Several processes wait for the gradient of every weight."""
    model = make_model(BOTH).train()
    batch = together(make_item(1), make_item(2))
    LossModule(model, BOTH.objective)(batch).sum().backward()
    assert model.recalled.grad is not None and np.isfinite(model.recalled.grad).all()


def test_qd_detr():
    """No layers between frames and words before the aligner, no token, and nothing that is trained for them."""
    plain = replace(SMALL, context="none", word_layers=0, objective=replace(SMALL.objective, words=0.0, sentences=0.0))
    model = make_model(plain)
    names = {name.partition(".")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert names == {"video", "text", "aligner", "encoder", "decoder", "salient", "salient_pooled", "label", "box"}
    batch = together(make_item(1), make_item(2))
    output = model(batch, draw(batch))
    assert torch.equal(output.encoded.aware, output.frames[batch.video])
    sums = dict(zip(loss_names(plain.decoder_layers), LossModule(model, plain.objective)(batch).tolist(), strict=True))
    assert sums["words"] == sums["sentences"] == 0 < sums["saliency"]


def test_sentences_are_told_apart_by_their_words_alone():
    model = make_model(replace(SMALL, context="recalled"))
    batch = together(with_texts(make_item(1), 3), with_texts(make_item(2), 1))
    drawn = draw(batch)
    found, without = (LossModule(model, SMALL.objective).of(model(one, drawn), one, drawn) for one in (
        batch, together(make_item(1), make_item(2))))
    assert found[-1] == without[-1] > 0 and found[0] != without[0]


# --- the system

@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("recalled"), videos=6, train__epochs=1, train__eval_every=0,
                     moments__context="recalled", moments__recalled=3, retrieval={"levels": [0, 1], "top_k": 20})


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "run"
    assert hicm("train", settings, "--set", "system=moments", "--out", folder) == 0
    return folder


def prepared(settings: Path, *overrides: str):
    config = load_config(settings, ["system=moments", *overrides])
    check_settings(config)
    return find_system("moments").prepare(config, settings.parent, open_samples(config.data, "train"))


def results(run: Path, out: Path, *overrides: str):
    sets = [part for one in overrides for part in ("--set", one)]
    assert hicm("predict", run, "--out", out, *sets) == 0
    return read_json(out)["results"]


def test_training_sentences_recall_the_captions_of_other_videos(settings):
    system = prepared(settings)
    [batch] = system.batches([[(0, row) for row in range(system.size)]])
    assert batch.recalled.shape[1] == 3 == batch.recalled_lengths.min()
    torch.testing.assert_close(batch.recalled.norm(dim=2), torch.ones(batch.recalled.shape[:2]))
    reader, samples = system.memory.reader, open_samples(system.config.data, "train")
    own = {video.id: {event.text for event in video.events} for video in samples.videos}
    said = {text: video for video, texts in own.items() for text in texts
            if sum(text in others for others in own.values()) == 1}
    pairs = [(video, text) for video, texts in own.items() for text in sorted(texts)]
    found = list(reader.read([text for _, text in pairs], 3, [video for video, _ in pairs]))
    assert not [text for (video, _), some in zip(pairs, found, strict=True) for text in some if said.get(text) == video]
    free = prepared(settings, "retrieval.leave_own_out=false").dataset.recalled
    mine = system.dataset.recalled
    assert any(not np.array_equal(mine(*pair), free(*pair)) for pair in mine.rows), "else nothing was left out"


def test_training_is_repeatable(settings, run, tmp_path):
    assert hicm("train", settings, "--set", "system=moments", "--set", "train.workers=2", "--out",
                tmp_path / "run") == 0
    first, second = (load_file(folder / "last" / "model.safetensors") for folder in (run, tmp_path / "run"))
    assert first.keys() == second.keys() and all((first[name] == second[name]).all() for name in first)


def test_an_interrupted_training_ends_with_the_same_weights(settings, tmp_path, monkeypatch):
    """Windows are drawn for each epoch, videos make several items, and sentences recall texts."""
    content = read_json(load_config(settings).data.annotations["train"][0])
    rows = [{"query": text, "vid": video, "duration": entry["duration"], "relevant_windows": [[0, 2], [1, 4], span]}
            for video, entry in content.items()
            for span, text in zip(entry["timestamps"], entry["sentences"], strict=True)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps({"qid": number} | row) + "\n"
                                                  for number, row in enumerate(rows)))
    changes = ("system=moments", f"data.annotations.train={tmp_path / 'train.jsonl'}", "moments.context=both",
               "moments.sentences=2", "moments.windows=1", "train.epochs=2", "train.checkpoint_every=1")
    given = ["train", settings, *(part for one in changes for part in ("--set", one)), "--out"]
    assert hicm(*given, tmp_path / "whole") == 0
    made = System.batches
    last = len((tmp_path / "whole" / "stats.jsonl").read_text().splitlines())
    assert last > 8

    def interrupted(self, micro):
        yield from itertools.islice(made(self, micro), 3)
        raise UserError("the power fails")

    monkeypatch.setattr(System, "batches", interrupted)
    for _ in range(3):
        assert hicm(*given, tmp_path / "broken") == 2
    reached = torch.load(tmp_path / "broken" / "checkpoint.pt", weights_only=True)["progress"]["step"]
    assert 3 <= reached < last
    monkeypatch.setattr(System, "batches", made)
    assert hicm(*given, tmp_path / "broken") == 0
    whole, broken = (load_file(tmp_path / name / "last" / "model.safetensors") for name in ("whole", "broken"))
    assert whole.keys() == broken.keys() and all((whole[name] == broken[name]).all() for name in whole)


def test_one_sentence_about_one_video(run):
    """What it recalls is looked up then and there."""
    config = load_config(run / "config.yaml", [f"memory.path={run / 'bank'}"])
    system = find_system("moments").load(run / "last", config)
    whole = open_samples(config.data, "val")
    sample = next(one for one in whole if len(one.queries) > 1)
    found = dict(pair for events in system.predict(whole) for pair in events.items())[sample.id]
    [[alone]] = [events[sample.id] for events in system.predict(
        SampleList([replace(sample, queries=sample.queries[1:2])]))]
    assert found[1].query == alone.query
    np.testing.assert_allclose(found[1].windows, alone.windows, atol=1e-4)


def test_controls(run, tmp_path):
    """Other texts change predictions; nothing recalled is nothing recalled, however it is asked for."""
    own = results(run, tmp_path / "own.json")
    found = {search: results(run, tmp_path / f"{search}.json", f"retrieval.search={search}")
             for search in ("random", "zero", "none")}
    assert found["zero"] == found["none"]
    assert len({str(own), str(found["random"]), str(found["zero"])}) == 3
    assert results(run, tmp_path / "one.json", "moments.recalled=1") not in (own, found["zero"])


def test_a_run_has_its_own_bank(settings, run, tmp_path):
    recorded = read_json(run / "manifest.json")["decided_by"]
    assert "memory bank" in recorded["inputs"] and recorded["settings"]["retrieval.top_k"] == 20
    where = load_config(settings).bank
    where.rename(tmp_path / "away")
    try:
        found = results(run, tmp_path / "p.json")
    finally:
        (tmp_path / "away").rename(where)
    assert found and read_json(tmp_path / "p.json")["decided_by"]["settings"]["retrieval.top_k"] == 20


def test_a_run_under_other_settings_keeps_the_bank(settings, run, tmp_path):
    assert hicm("convert", run, settings, tmp_path / "other", "--set", "system=moments", "--set",
                "moments.decode.moments=2") == 0
    assert {path.name for path in (tmp_path / "other" / "bank").iterdir()} == {
        path.name for path in (run / "bank").iterdir()}
    found, other = (results(folder, tmp_path / f"{folder.name}.json", "moments.decode.moments=2")
                    for folder in (run, tmp_path / "other"))
    assert found == other


def test_what_is_refused(settings, run, tmp_path, capsys):
    system = ("--set", "system=moments")
    capsys.readouterr()
    assert hicm("train", settings, *system, "--set", f"memory.path={tmp_path}", "--out", tmp_path / "a") == 2
    assert "memory bank not found; build it with 'hicm memory build'" in capsys.readouterr().err
    other = load_config(settings, ["memory.encoder=hashing:24", f"memory.path={tmp_path / 'bank'}"])
    build_memory(replace(other, memory=replace(other.memory, encoder="hashing:16"), data=replace(
        other.data, features="")))
    assert hicm("train", settings, *system, "--set", f"memory.path={tmp_path / 'bank'}", "--out", tmp_path / "b") == 2
    assert "the encoder of its embeddings is hashing:16, that of the text hashing:24" in capsys.readouterr().err
    assert hicm("train", settings, *system, "--set", "data.holdout=0.5", "--set", "data.select=holdout", "--out",
                tmp_path / "c") == 2
    assert "was built with captions of " in capsys.readouterr().err
    assert hicm("predict", run, "--set", "moments.context=both", "--out", tmp_path / "p.json") == 2
    assert "training decided this setting" in capsys.readouterr().err
    assert hicm("predict", run, "--set", "retrieval.windows=2", "--out", tmp_path / "p.json") == 2
    assert "this setting is about windows of a video, but here sentences" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"was trained with moments\.context='recalled', found 'both'"):
        find_system("moments").load(run / "last", load_config(run / "config.yaml", ["moments.context=both"]))


def test_masked_words_need_layers(settings):
    with pytest.raises(UserError, match=r"moments\.word_layers=0: masked words cannot be predicted from frames"):
        prepared(settings, "moments.word_layers=0")


def test_settings_of_windows_have_no_effect(settings):
    with pytest.warns(UserWarning, match=r"without effect where sentences search the memory: retrieval\.windows"):
        prepared(settings, "retrieval.windows=3")


def test_the_bank_needs_the_encoder_of_sentences_and_not_that_of_frames(settings, tmp_path, capsys):
    """Neither building nor checking compares it with the features, whose width it may differ from."""
    own = ["--set", "system=moments", "--set", "memory.encoder=hashing:40", "--set", f"memory.path={tmp_path / 'bank'}"]
    assert hicm("memory", "build", settings, *own, "--set", "moments.context=token") == 2
    assert "hashing:40 gives vectors 40 wide, the features" in capsys.readouterr().err
    assert hicm("memory", "build", settings, *own, "--dry-run") == 0
    assert hicm("memory", "build", settings, *own) == 0 and hicm("data", "check", settings, *own) == 0
    capsys.readouterr()
    assert hicm("data", "check", settings, *own, "--set", "memory.encoder=hashing:41") == 1
    assert "the encoder of its embeddings is hashing:40, that of the text hashing:41" in capsys.readouterr().out
    assert hicm("train", settings, *own, "--out", tmp_path / "run") == 0 and hicm("predict", tmp_path / "run") == 0


def test_a_converted_run_has_its_own_bank(run, tmp_path):
    own = ("--set", f"memory.path={run / 'bank'}", "--set", "moments.decode.moments=2")
    assert hicm("convert", run, run / "config.yaml", tmp_path / "again", *own) == 0
    assert results(tmp_path / "again", tmp_path / "p.json") == results(run, tmp_path / "q.json",
                                                                      "moments.decode.moments=2")
    for name in ("bank.json", "bank.npz"):
        assert (tmp_path / "again" / "bank" / name).read_bytes() == (run / "bank" / name).read_bytes()


def test_a_film_is_searched(run, tmp_path):
    """One sentence about a video file; what it recalls is among what the answer was made from."""
    film = write_video(tmp_path / "film.mp4", [0.0, 4.0, 9.0], 12.0)
    found = {}
    for search in ("descend", "zero"):
        verbs.search([str(film)], "somebody cuts bread", model=str(run), encoder="hashing:24", out=str(
            tmp_path / search), cache=str(tmp_path / "cache"), set_=[f"retrieval.search={search}"])
        [file] = (tmp_path / search).glob("*.json")
        found[search] = read_json(file)
    assert "memory bank" in found["descend"]["decided_by"]["inputs"]
    assert "memory bank" not in found["zero"]["decided_by"]["inputs"]
    assert found["descend"]["results"] != found["zero"]["results"]
