"""Predicts and measures a trained cell under one condition after the other."""

import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.config import Config
from hicm.cores import usable_cores
from hicm.data.annotations import read_split, split_references
from hicm.data.samples import SplitSamples, open_samples
from hicm.dvc_eval import evaluate
from hicm.encoders import make_encoder
from hicm.errors import UserError
from hicm.files import read_json, sha256, write_json
from hicm.memory.bank import OWN as OWN_BANK
from hicm.memory.bank import load_bank
from hicm.provenance import Origin, now, revision
from hicm.recipes.bench.machine import processor
from hicm.recipes.memory_reads.asking import caption_queries
from hicm.recipes.memory_reads.conditions import CAPTIONS, OWN, overrides, parse_condition
from hicm.recipes.memory_reads.measured import (
    METRICS,
    PROTOCOL,
    Measured,
    paths,
    read_entry,
    read_statistics,
    write_measured,
    write_statistics,
)
from hicm.recipes.memory_reads.others import exchanged_features, exchanged_settings, other_videos
from hicm.recipes.memory_reads.sayings import copy_rate, sentences_of, texts_read, variety
from hicm.stages.predict import predict
from hicm.types import Video

FORM = 1  # of what is measured: one higher when the same predictions would give other entries


class Split:
    """The videos of a split under the settings of a cell, and what conditions make of them in the folder ``out``."""

    def __init__(self, config: Config, split: str, out: Path) -> None:
        self.config, self.name, self.out, self.inputs = config, split, out, out / "inputs"

    @cached_property
    def samples(self) -> SplitSamples:
        """As prediction reads them."""
        return open_samples(self.config.data, self.name, captions=False)

    @cached_property
    def others(self) -> dict[str, str]:
        """By video, another one."""
        return other_videos(self.samples.ids)

    @cached_property
    def references(self) -> list[Any]:
        """Files, or videos by id, one per annotator."""
        return list(split_references(self.config.data, self.name))

    @cached_property
    def digests(self) -> list[str]:
        """Of the references."""
        return [Origin({}, {name: repr(video) for name, video in one.items()}).identity if isinstance(one, dict)
                else sha256(one) for one in self.references]

    @cached_property
    def annotated(self) -> dict[str, Video]:
        """The videos with the events and captions of the first annotator."""
        return read_split(self.config.data, self.name)

    @cached_property
    def events(self) -> Path:
        """A file with the annotated events of the first annotator."""
        videos = self.annotated
        path = self.inputs / f"events_{self.name}_{self.digests[0][:16]}.json"
        return path if path.exists() else write_json(path, {name: {
            "duration": video.duration, "timestamps": [[one.span.start, one.span.end] for one in video.events],
            "sentences": [one.text for one in video.events]} for name, video in videos.items()})


class Tester:
    """Tests one run.  ``identity``: of its cell; ``seconds``: its training took that long."""

    def __init__(self, run: Path, identity: str, config: Config, split: Split, seconds: float) -> None:
        self.run, self.identity, self.config, self.split, self.seconds = run, identity, config, split, seconds
        self.folder = run.parent / split.name

    def test(self, cell: str, seed: int, condition: str) -> tuple[Measured, bool]:
        """Predict and measure, unless that was done; returns the entry, and whether it is new.

        Raises UserError when the folder holds an entry that was made otherwise, and the errors of the stages.
        """
        path, rows = paths(self.folder, condition)
        made_of = Origin({"condition": condition, "form": FORM}, {
            "cell": self.identity, **{f"references {at}": one for at, one in enumerate(self.split.digests)}}).identity
        if path.exists():
            found = read_entry(Measured, path)
            if found.made_of != made_of:
                raise UserError(f"{path}: was measured otherwise; choose another --out, or remove {self.folder}")
            read_statistics(rows, found.statistics)
            return found, False
        began = time.monotonic()
        predictions = self._predict(parse_condition(condition), condition, seed)
        predicted = time.monotonic()
        result = evaluate(predictions, self.split.references, PROTOCOL, metrics=list(METRICS))
        left_out = [name for name in METRICS if name not in result.scores]
        if left_out:
            raise UserError(f"{predictions}: {left_out[0]} cannot be computed here ({result.left_out[left_out[0]]})")
        said, cores = self._said(predictions, condition), usable_cores()
        one = Measured(cell=cell, seed=seed, split=self.split.name, condition=condition, settings=self.identity,
                       made_of=made_of, run=str(self.run.relative_to(self.split.out)), date=now(),
                       predictions=str(predictions.relative_to(self.split.out)),
                       machine=f"{processor()}, {cores} core{'s' * (cores > 1)}", commit=revision().get("commit", ""),
                       signature=result.signature, videos=len(result.videos), said=said,
                       scores={name: result.scores[name] for name in METRICS},
                       statistics=write_statistics(result, rows), seconds={
                           "training": self.seconds, "predicting": predicted - began,
                           "scoring": time.monotonic() - predicted})
        write_measured(one, path)
        return one, True

    def _predict(self, parts: Sequence[str], condition: str, seed: int) -> Path:
        settings = overrides(self.config, parts, seed)
        if "frames" in parts:
            features = exchanged_features(self.split.samples, self.split.others, self.split.inputs)
            settings += exchanged_settings(self.config.data, features)
        return predict(self.run, self.split.name, out=self.folder / f"predictions_{condition}.json",
                       overrides=settings, events=str(self.split.events) if "events" in parts else "",
                       memory_of=self.split.others if "swapped" in parts else None,
                       queries=self._queries() if CAPTIONS in parts else None)

    def _queries(self) -> Path:
        encoder = make_encoder(self.config.memory.encoder, self.config.offline)
        return caption_queries(self.split.samples, self.split.annotated, encoder, self.split.inputs)

    def _said(self, predictions: Path, condition: str) -> dict[str, float | None]:
        said: dict[str, float | None] = dict(variety(predicted := sentences_of(
            read_json(predictions, "predictions")["results"])))
        parts, bank = parse_condition(condition), self.run / OWN_BANK
        source = OWN if {"none", "zero"} & {*parts} else condition  # what would be there to copy from
        recalled = self.folder / f"retrieved_predictions_{source}.h5"
        if not recalled.exists() or not bank.exists():
            return said | {"copied": None, "copied_control": None}
        others = self.split.others
        texts = texts_read(recalled, load_bank(bank), predicted)
        if "swapped" in parts:
            texts = {video: texts[others[video]] for video in predicted}
        return said | {"copied": copy_rate(predicted, texts), "copied_control": copy_rate(predicted, texts, others)}

