"""The protocols: each a table of its rules.

Two numbers may be compared when they come from the same protocol, the same references and the same videos.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hicm.errors import UserError

CAPTION_METRICS = ("METEOR", "CIDEr", "Rouge-L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")


@dataclass(frozen=True)
class Protocol:
    """The rules of one public toolkit."""

    name: str
    used_by: str
    unmatched: str  # what a prediction that meets no event is compared with
    missing: Literal["skip", "zero"]  # a video without predictions: left out of the means, or 0
    tious: tuple[float, ...] = (0.3, 0.5, 0.7, 0.9)  # captions pair at IoU >= t, localisation at IoU > t
    distances: tuple[float, ...] = ()  # seconds between starts, strictly below
    f1: Literal["per-threshold", "of-means"] = "per-threshold"  # mean of F1s, or F1 of mean P and mean R
    max_proposals: int = 1000  # first of the file; SODA takes all
    soda: tuple[str, ...] = ("soda_c",)
    names: tuple[str, ...] = CAPTION_METRICS  # caption metrics as the toolkit prints them, in CAPTION_METRICS' order

    @property
    def thresholds(self) -> tuple[str, ...]:
        """Labels of the columns of localisation: ``0.3`` ... then ``1s`` ..."""
        return tuple(f"{t:g}" for t in self.tious) + tuple(f"{d:g}s" for d in self.distances)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all scores, in the toolkit's order."""
        if self.f1 == "of-means":
            return (*self.names, "Recall", "Precision", "F1_of_means", *self.soda)
        kinds = ("Recall", "Precision", "F1")
        by_tiou, by_distance = ([f"{kind}@{label}" for label in labels for kind in kinds]
                                for labels in (self.thresholds[:len(self.tious)], self.thresholds[len(self.tious):]))
        return (*self.names, *by_tiou, *kinds, *by_distance, *self.soda)


# One made-up word stands for the toolkits' random one: no score depends on its letters.
_WORD = "qqqqqqqqqq"
_ACTIVITYNET_NAMES = ("METEOR", "CIDEr", "ROUGE_L", "Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4")

PROTOCOLS = {protocol.name: protocol for protocol in (
    Protocol("vidchapters", used_by="VidChapters, HiCM2, STaRC, PMD, Sali4Vid", unmatched=_WORD, missing="skip",
             distances=(1, 3, 5, 10, 30, 60), soda=("soda_c", "soda_d", "soda_d_f")),
    Protocol("activitynet-2018", used_by="PDVC, CM2, E2DVC", unmatched="abc123!@#", missing="zero", f1="of-means",
             names=_ACTIVITYNET_NAMES),
    Protocol("activitynet-2021", used_by="the later densevid_eval", unmatched=_WORD, missing="zero", f1="of-means",
             names=_ACTIVITYNET_NAMES),
)}


def find_protocol(name: str) -> Protocol:
    """The protocol of that name; UserError names the nearest when there is none."""
    if name not in PROTOCOLS:
        raise UserError(f"protocol {name!r} is unknown; {_nearest(name, PROTOCOLS)}; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def select_metrics(protocol: Protocol, metrics: Iterable[str] | None) -> tuple[str, ...]:
    """The wanted metrics in the protocol's order (None: all); UserError names the nearest to an unknown one."""
    if metrics is None:
        return protocol.metrics
    wanted = {metrics} if isinstance(metrics, str) else set(metrics)
    for name in sorted(wanted, key=str):
        if name not in protocol.metrics:
            raise UserError(f"metric {name!r} is unknown to protocol {protocol.name}; "
                            f"{_nearest(name, protocol.metrics)}; known: {', '.join(protocol.metrics)}")
    if not wanted:
        raise UserError("metrics is empty: name at least one, or pass None for all of the protocol")
    return tuple(name for name in protocol.metrics if name in wanted)


def _nearest(name: str, known: Iterable[str]) -> str:
    # Case is what people get wrong most: cider, Rouge-l.
    by_lower = {str(entry).lower(): entry for entry in known}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.0)
    return f"the nearest is {by_lower[near[0]]!r}"
