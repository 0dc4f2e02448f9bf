"""Every setting of every system given to ``hicm predict`` is acted on, or refused by name: none is passed over."""

import contextlib
import dataclasses
import functools
import typing
import warnings
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import pytest
import torch

from hicm import verbs
from hicm.config import RetrievalConfig, load_config
from hicm.data.samples import open_samples
from hicm.decisive import prediction_settings
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.rooms import settings_class
from hicm.stages.predict import predict, prediction_config
from hicm.stages.retrieve import with_recall
from hicm.stages.run_folder import model_folder
from hicm.systems.base import find_system
from hicm.systems.captioner import decode as captioner_decode
from hicm.systems.captioner import system as captioner_system
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS
from hicm.systems.parallel import system as parallel_system
from tests.tiny import make_tiny

SYSTEMS = ("captioner", "parallel", "recall")
ACTED_ON = ("use_speech", "mask_padding", "max_speech_tokens")  # of the captioner, beside decode.*
OTHER = {"captioner.t5_config": "{d_model: 8}", "captioner.tokenizer": "t5-base", "captioner.init": "x.pth",
         "captioner.t5": "t5-base", "captioner.decode.top_p": 0.5, "captioner.decode.max_tokens": 3,
         "captioner.max_speech_tokens": 5, "captioner.decode.batch": 1, "captioner.decode.precision": "bf16",
         "captioner.decode.grammar": "false", "captioner.decode.event_bias": -9.0,
         "captioner.decode.confidence": "times",
         "parallel.vocabulary": "x.json", "parallel.init": "x", "parallel.decode.batch": 1,
         "recall.shortest": 20.0, "recall.penalty": 40.0, "recall.threshold": 1.0, "recall.centring": "none",
         "recall.neighbours": 1}
SAMPLING, BEAMS = ("captioner.decode.sample=true",), ("captioner.decode.beams=3",)
SURE = ("captioner.decode.confidence=both",)
FREE = ("captioner.decode.grammar=false",)
# settings beside which a setting has an effect
WITH = {"captioner.decode.top_p": SAMPLING, "captioner.decode.temperature": SAMPLING, "captioner.decode.seed": SAMPLING,
        "captioner.decode.length_penalty": BEAMS,
        "captioner.decode.isolated_time_tokens": FREE, "captioner.decode.min_confidence": SURE}


def leaves(cls: type, prefix: str) -> dict[str, tuple[Any, Any]]:
    """Full name -> type and default of every setting of a dataclass and of those in it."""
    hints, found = typing.get_type_hints(cls), {}
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            found |= leaves(hints[field.name], f"{prefix}.{field.name}")
        else:
            found[f"{prefix}.{field.name}"] = hints[field.name], getattr(cls(), field.name)
    return found


LEAVES = {name: found for system in SYSTEMS for name, found in leaves(settings_class(system), system).items()
          if not name.startswith(("recall.writer", "recall.writing."))}  # test_recall_writer.py asks a server by those


def another(name: str, own: Any) -> str:
    """A possible value that is not ``own``, as it is given to ``--set``."""
    hint = LEAVES[name][0]
    if name in OTHER:
        return str(OTHER[name])
    if typing.get_origin(hint) is Literal:
        return next(value for value in typing.get_args(hint) if value != own)
    return {bool: str(not own).lower(), int: str(own + 1 if isinstance(own, int) else ""),
            float: str(own / 2 if isinstance(own, float) and own else 0.5)}[hint]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    tiny = make_tiny(folder, videos=4, train__epochs=1, train__eval_every=0, data__frames=200)  # all are padded
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {system: verbs.train(str(tiny), out=str(folder / system), set_=[f"system={system}"])
                for system in SYSTEMS}


def own_value(own: dict[str, Any], name: str) -> Any:
    value = own[name.partition(".")[0]]
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    return value


def is_acted_on(name: str) -> bool:
    system, _, rest = name.partition(".")
    return system == "recall" or rest.startswith("decode.") or rest in ACTED_ON


@pytest.mark.parametrize("name", [name for name in LEAVES if not is_acted_on(name)])
def test_what_training_decided_is_refused_by_name(runs, own, name):
    run, override = runs[name.partition(".")[0]], f"{name}={another(name, own_value(own, name))}"
    with pytest.raises(UserError) as caught:
        prediction_config(run, [override])
    assert str(caught.value) == (f"--set {override}: training decided this setting, and prediction does not read it; "
                                 "leave it out, or train again")


@pytest.fixture(scope="module")
def own(runs):
    """The settings of each run's system."""
    return {system: load_config(run / "config.yaml").room for system, run in runs.items()}


@pytest.fixture(scope="module")
def asked(runs):
    """The settings of a prediction under overrides, read once."""
    return functools.cache(lambda system, overrides: prediction_config(runs[system], overrides))


class Noise:
    """A decoder whose scores are noise of video, step and last token, some tokens likelier; notes what it is given."""

    def __init__(self, seen, model, parts, beams, longest) -> None:
        seen.append((beams, longest, [(part.videos, tuple(part.states.shape), float(part.states.sum()),
                                       part.mask.tolist()) for part in parts]))
        size = model.t5.config.vocab_size
        self.scores = 2 * torch.randn(size, size, generator=torch.Generator().manual_seed(0))
        ends, times = (4.0, 0.0) if beams > 1 else (2.0, 0.5)  # beams prefer long sequences
        self.scores[:, EOS] += ends
        self.scores[:, -100:] += times
        self.beams, self.steps = beams, 0
        self.rows = torch.tensor([video for part in parts for video in part.videos]).repeat_interleave(beams)

    def step(self, ids):
        self.steps += 1
        own = (31 * self.rows + self.steps) % len(self.scores)
        return self.scores[ids] + self.scores[own] + self.scores[0]

    def follow(self, rows) -> None: ...

    def keep(self, videos) -> None:
        self.rows = self.rows[videos.repeat_interleave(self.beams)]


@pytest.fixture(scope="module")
def behaviour(runs, asked):
    """What a system does with the validation videos under some settings: what it hands on, and its events."""
    def behave(system: str, overrides: tuple[str, ...]) -> tuple[list, dict]:
        config = asked(system, overrides)
        samples = open_samples(config.data, "val")
        samples = with_recall(config, samples, "val", runs[system] / "retrieved_val.h5")
        loaded, seen = find_system(system).load(model_folder(runs[system]), config), []
        if system == "captioner":
            patched = mock.patch.object(captioner_decode, "Decoder", functools.partial(Noise, seen))
        else:
            patched = contextlib.nullcontext()

        def describe(model, batch, vocabulary, settings):
            seen.append((tuple(batch.rows.shape), settings))
            return [[] for _ in batch.ids]

        torch.manual_seed(0)
        with patched, mock.patch.object(parallel_system, "describe", describe):  # see test_parallel_room.py
            return seen, {video: events for batch in loaded.predict(samples) for video, events in batch.items()}
    return functools.cache(behave)


@pytest.mark.filterwarnings("ignore:without effect")
@pytest.mark.parametrize(("system", "context"), [("recall", ()), ("parallel", ()), ("captioner", ()),
                                                 ("captioner", SAMPLING), ("captioner", BEAMS)])
def test_equal_settings_behave_alike(behaviour, system, context):
    """Else the comparison below would say nothing."""
    assert behaviour.__wrapped__(system, context) == behaviour(system, context)


@pytest.mark.filterwarnings("ignore:without effect")
@pytest.mark.parametrize("name", [name for name in LEAVES if is_acted_on(name)])
def test_what_prediction_reads_is_acted_on_and_recorded(own, asked, behaviour, name):
    system, context = name.partition(".")[0], WITH.get(name, ())
    override = f"{name}={another(name, own_value(own, name))}"
    assert behaviour(system, (*context, override)) != behaviour(system, context)
    found, before = (prediction_settings(asked(system, settings)) for settings in ((*context, override), context))
    assert {key for key in found.keys() | before.keys() if found.get(key) != before.get(key)} == {name}


@pytest.mark.parametrize(("system", "override", "reason"), [
    ("recall", "retrieval.windows=3", "the system recall searches the memory in its own way"),
    ("recall", "retrieval.search=flat", "the system recall searches the memory in its own way"),
    ("recall", "evaluate.protocol=hicm", "only evaluation reads this setting"),
    ("captioner", "evaluate.protocol=hicm", "only evaluation reads this setting"),
    ("captioner", "retrieval.leave_own_out=false", "only training reads this setting")])
def test_settings_of_other_stages_are_refused_too(runs, system, override, reason):
    with pytest.raises(UserError, match=rf"^--set {override}: {reason}"):
        prediction_config(runs[system], [override])
    with pytest.raises(UserError, match=r"retrieval.top_k=9: retrieval.search is none, so nothing is recalled"):
        prediction_config(runs["captioner"], ["retrieval.search=none", "retrieval.top_k=9"])


def test_the_settings_of_a_run_may_be_repeated(runs, own):
    for name in list(LEAVES)[::8]:
        system, value = name.partition(".")[0], own_value(own, name)
        given = str(value).lower() if isinstance(value, bool) else value
        assert prediction_config(runs[system], [f"{name}={given}"]).room == own[system], name
    assert RetrievalConfig().leave_own_out
    assert prediction_config(runs["captioner"], ["retrieval.leave_own_out=true"])


@pytest.mark.parametrize(("settings", "told"), [
    ({}, []), ({"beams": 1}, []), ({"sample": True, "beams": 1, "top_p": 0.5, "seed": 3}, []),
    ({"top_p": 0.5}, ["top_p"]), ({"temperature": 0.7, "seed": 3}, ["temperature", "seed"]),
    ({"beams": 1, "length_penalty": 2.0}, ["length_penalty"]), ({"length_penalty": 2.0}, []),
    ({"sample": True, "beams": 8, "length_penalty": 2.0}, ["beams", "length_penalty"])])
def test_decoding_settings_without_effect_are_told(settings, told):
    assert DecodeSettings(**settings).unread() == told
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        captioner_system.warn_of_unread(DecodeSettings(**settings))
    assert len(said) == bool(told)
    assert all(f"captioner.decode.{name}=" in str(said[0].message) for name in told)


def test_predictions_made_while_the_model_loads_are_kept(runs, tmp_path, monkeypatch):
    """Another command may write the file between the first look at it and the lock."""
    out, kind = tmp_path / "p.json", find_system("recall")
    load = kind.load

    def slow(folder, config):
        write_json(out, {"results": {}})
        return load(folder, config)

    monkeypatch.setattr(kind, "load", slow)
    with pytest.raises(UserError, match=r"p\.json: holds other predictions"):
        predict(runs["recall"], out=out)
    assert read_json(out) == {"results": {}}
