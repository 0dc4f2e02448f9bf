"""What is to be explained: a run, the videos of a split, and its memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hicm.config import Config
from hicm.data.ids import youtube_id
from hicm.data.samples import SplitSamples, open_samples
from hicm.encoders import Encoder, make_encoder
from hicm.errors import UserError
from hicm.memory.bank import Bank, load_bank
from hicm.memory.encoding import encode_texts
from hicm.provenance import Origin
from hicm.recipes.memory_reads.others import by_hash
from hicm.retrieval.reader import needs_bank
from hicm.rooms import memory_need, room_has, room_names
from hicm.stages.origins import annotation_digests, prediction_origin
from hicm.stages.predict import prediction_config
from hicm.stages.run_folder import model_folder, run_label

FORM = 1  # one higher when the same run would be measured otherwise
BEAMS = (1, 4, 8, 32, 128)


@dataclass(frozen=True)
class Plan:
    """A run on a split; ``most``: videos for which the captioner's reading is measured, 0: all."""

    run: Path
    config: Config
    split: str
    most: int
    samples: SplitSamples
    bank: Bank
    encoder: Encoder

    @property
    def name(self) -> str:
        """Of data set and split."""
        return f"{self.config.data.name}_{self.split}"

    @property
    def label(self) -> str:
        """What the run is called."""
        return run_label(self.run)

    @property
    def holds_captions(self) -> bool:
        """Whether the memory holds its captions with their embeddings, not only their summaries."""
        return self.bank.leaves is not None and self.bank.leaves.embeddings is not None

    @property
    def levels(self) -> list[int]:
        """Of the memory, coarse to fine; 0 are the captions."""
        return [*range(self.bank.depth, 0, -1), *([0] if self.holds_captions else [])]

    @cached_property
    def own_out(self) -> bool:
        """Whether videos of the split wrote captions of the memory, which they are not to recall then."""
        videos = set() if self.bank.leaves is None else set(map(youtube_id, self.bank.leaves.videos))
        return any(youtube_id(video) in videos for video in self.samples.ids)

    @cached_property
    def embeddings(self) -> dict[str, np.ndarray]:
        """The embedding float32 [D] of every annotated caption."""
        texts = list(dict.fromkeys(event.text for video in self.samples.videos for event in video.events
                                   if event.text.strip()))
        return dict(zip(texts, encode_texts(self.encoder, texts), strict=True))

    @cached_property
    def _nodes(self) -> dict[str, tuple[int, int]]:
        """Where each text of the memory stands: level and node."""
        return {text: (level, node) for level in self.levels for node, text in enumerate(self.bank.texts(level))}

    def embed(self, text: str) -> np.ndarray:
        """The embedding [D] of an annotated caption, or of a text of the memory, which the encoder need not know."""
        if text in self.embeddings:
            return self.embeddings[text]
        level, node = self._nodes[text]
        leaves = self.bank.leaves
        rows = self.bank.level(level).embeddings if level or leaves is None else leaves.embeddings
        assert rows is not None, "levels has 0 only where they are there"
        return rows[node].astype(np.float32)

    @property
    def read(self) -> SplitSamples:
        """The videos for which the captioner's reading is measured: the first ones in the order of a hash."""
        rows = {video: row for row, video in enumerate(self.samples.ids)}
        return self.samples.take([rows[video] for video in by_hash(self.samples.ids)[:self.most or None]])

    def origin(self) -> Origin:
        """What decides all that is measured."""
        made = prediction_origin(self.config, model_folder(self.run), self.samples, self.split)
        settings = {"form": FORM, "videos read": self.most, "beams": list(BEAMS), "encoder": self.encoder.name}
        if self.own_out:  # results without it are of a captioner that read them
            settings["own captions"] = "left out"
        return Origin(made.settings | settings, made.inputs | annotation_digests(self.config, self.split))


def make_plan(run: Path, split: str = "", most: int = 100, overrides: Sequence[str] = (), encoder: str = "") -> Plan:
    """A plan; ``split`` defaults to the one that the run reports, ``overrides`` are settings of prediction.

    ``encoder``: that of the annotated captions, by default ``memory.encoder`` of the run.

    Raises UserError for a run without a memory or of a system that does not tell what it reads, and where split and
    memory do not fit.
    """
    if most < 0:
        raise UserError(f"--videos: expected 0 (all) or more, found {most}")
    config = prediction_config(run, overrides)
    if not room_has(config.system, "reading"):
        known = ", ".join(name for name in room_names() if room_has(name, "reading"))
        raise UserError(f"{run}: the system {config.system} does not tell what it reads; give a run of {known}")
    if memory_need(config) == "none" or not needs_bank(config.retrieval):
        raise UserError(f"{run}: looks into no memory (retrieval.search={config.retrieval.search}); give the run of a "
                        "captioner with one")
    model_folder(run)
    split = split or config.data.report
    bank, embedding = load_bank(config.bank), make_encoder(encoder or config.memory.encoder, config.offline)
    if (made_by := bank.info.get("encoder", "unknown")) != embedding.name:
        raise UserError(f"{config.bank}: the encoder of its embeddings is {made_by}, that of the annotated captions "
                        f"{embedding.name}; name the bank's (--encoder)")
    samples = open_samples(config.data, split, captions=False)
    plan = Plan(run, config, split, most, samples, bank, embedding)
    if not any(event.text.strip() for video in samples.videos for event in video.events):
        raise UserError(f"split {split}: has no annotated captions to compare with; choose another --split")
    if plan.own_out and not plan.holds_captions:
        raise UserError(f"{config.bank}: holds captions of split {split} without their embeddings, so that they cannot "
                        "be left out; choose another --split")
    return plan
