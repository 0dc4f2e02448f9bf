"""The protocols: each is a set of rules.

Two numbers may be compared when they come from the same protocol, the same annotations and the same queries.  A rule
can be changed by name (`change_rules`); the signature then says so.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from hicm.errors import UserError
from hicm.evaluation import rules as reading
from hicm.evaluation.rules import Numbers, nearest
from hicm.evaluation.signatures import number

TIOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))  # 0.5, 0.55, .., 0.95
SHORT_MIDDLE_LONG = (0.0, 10.0, 30.0, 150.0)  # seconds: Lei et al., NeurIPS 2021
RANGE_NAMES = ("short", "middle", "long", "superlong")
LEVELS = {"Fair": 2, "Good": 3, "VeryGood": 4}  # the rating from which on a clip is positive


@dataclass(frozen=True)
class Protocol:
    """The rules of one public toolkit, or ours.  Signatures and ``--rule`` use the same values.

    Times are in seconds; 0 stands for "not done".
    """

    name: str
    used_by: str
    recall: tuple[float, ...] = (0.3, *TIOUS)  # R1@: the first window counts from this IoU on
    tious: tuple[float, ...] = TIOUS  # mAP@, and their mean, mAP
    miou: bool = True  # the mean IoU of the first window
    ranges: tuple[float, ...] = SHORT_MIDDLE_LONG  # ends of the ranges of lengths, each without its lower end
    order: Literal["listed", "score"] = "listed"  # which window is the first, and which are the first max_windows
    max_windows: int = 10  # of a query, for mAP
    clamp: float = 0.0  # windows end there at the latest, and begin at 0 at the earliest
    clamp_to_video: bool = False  # windows lie within the video, where its duration is known
    round: float = 0.0  # seconds of the grid that windows are rounded to, halves to the even one
    missing: Literal["error", "zero"] = "error"  # queries without a prediction, or with an empty one
    unknown: Literal["error", "ignore"] = "error"  # predictions for queries that are not annotated
    highlights: bool = False  # HL-mAP and HL-Hit1, where annotations have ratings
    clip_length: float = 2.0  # seconds, of the clips that are rated

    @property
    def range_names(self) -> tuple[str, ...]:
        """The names of the ranges of lengths."""
        return RANGE_NAMES[:len(self.ranges) - 1]

    @property
    def range_ends(self) -> dict[str, tuple[float, float]]:
        """The ranges of lengths: a window of a range is longer than its first end and no longer than its second."""
        return dict(zip(self.range_names, zip(self.ranges, self.ranges[1:], strict=False), strict=True))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of all scores: of all windows, of each range of lengths, of highlights."""
        moments = [name for part in ("", *self.range_names) for name in self.of_part(part)]
        return (*moments, *(f"HL-{kind}-{level}" for level in LEVELS for kind in ("mAP", "Hit1") if self.highlights))

    def of_part(self, part: str) -> list[str]:
        """Names of the scores of a range of lengths, or, for "", of all windows."""
        names = [*(f"R1@{number(t)}" for t in self.recall), *(["mIoU"] if self.miou else []), "mAP",
                 *(f"mAP@{number(t)}" for t in self.tious)]
        return [f"{part}-{name}" if part else name for name in names]


_MESM = "MESM's own post-processing, of raw windows"
PROTOCOLS = {protocol.name: protocol for protocol in (
    Protocol("hicm", used_by="this project; recommended", order="score", clamp_to_video=True, missing="zero",
             unknown="ignore", highlights=True),
    Protocol("qvhighlights", used_by="Moment-DETR, QD-DETR, UniVTG, CG-DETR on QVHighlights", recall=TIOUS, miou=False,
             highlights=True),
    Protocol("charades", used_by="MESM on Charades-STA, -CD, -CG and QVHighlights"),
    Protocol("tacos", used_by="MESM on TACoS", recall=(0.1, 0.3, 0.5, 0.7), ranges=(*SHORT_MIDDLE_LONG, 600.0)),
    Protocol("mesm-charades", _MESM, clamp=150.0, round=1.0),
    Protocol("mesm-charades-vgg", _MESM, clamp=150.0, round=0.17),
    Protocol("mesm-qvhighlights", _MESM, clamp=150.0, round=2.0),
    Protocol("mesm-tacos", _MESM, recall=(0.1, 0.3, 0.5, 0.7), ranges=(*SHORT_MIDDLE_LONG, 600.0), clamp=1000.0),
)}
# The protocol of an annotation format, where none is named.
USUAL = {"qvhighlights": "qvhighlights", "charades_sta": "charades", "charades_cd": "charades",
         "charades_cg": "charades", "tacos": "tacos"}

CHANGEABLE = tuple(field.name for field in fields(Protocol) if field.name not in ("name", "used_by"))


def _share(example: str) -> Numbers:
    return Numbers("numbers above 0, at most 1", example, lambda value: 0 < value <= 1, several=(1, 1000))


def _seconds(example: str) -> Numbers:
    # Windows are processed in single precision, which has no room for more extreme ones.
    return Numbers("seconds from 0.001 to 1000000, or 0 for none", example,
                   lambda value: value == 0 or 0.001 <= value <= 1e6)


_NUMBERS = {
    "recall": _share("0.5,0.7"),
    "tious": _share("0.5,0.75"),
    "ranges": Numbers("2 to 5 ascending seconds", "0,10,30,150", lambda value: value >= 0, several=(2, 5),
                      ascending=True),
    "clamp": _seconds("150"),
    "round": _seconds("1"),
    "clip_length": Numbers("seconds above 0", "2", lambda value: 0 < value < math.inf),
    "max_windows": Numbers("a whole number from 1 to 1000", "10", lambda value: 1 <= value <= 1000, whole=True),
}


def find_protocol(name: "str | Protocol") -> Protocol:
    """The protocol of that name.  Raises UserError, naming the nearest one, if there is none."""
    return reading.find_protocol(name, PROTOCOLS)


def change_rules(protocol: Protocol, rules: Mapping[str, Any]) -> Protocol:
    """The protocol with some rules changed; values may be text, as from the command line.

    >>> change_rules(find_protocol("charades"), {"round": "1", "missing": "zero"}).round
    1.0

    Raises UserError for an unknown rule or an invalid value.
    """
    return reading.change_rules(protocol, rules, CHANGEABLE, _NUMBERS)


def select_metrics(protocol: Protocol, metrics: Iterable[str] | None) -> tuple[str, ...]:
    """The requested metrics in the protocol's order (None: all).

    Raises UserError, naming the nearest metric, for an unknown one.
    """
    if metrics is None:
        return protocol.metrics
    wanted = {metrics} if isinstance(metrics, str) else set(metrics)
    if not wanted:
        raise UserError("metrics is empty: name at least one, or pass None for all of the protocol's")
    for name in sorted(wanted - set(protocol.metrics), key=str):
        plain = ", ".join(one for one in protocol.metrics if "@" not in one)
        having = [other.name for other in PROTOCOLS.values() if name in other.metrics]
        hint = f"protocols that have it: {', '.join(having[:3])}" if having else nearest(name, protocol.metrics)
        raise UserError(f"metric {name!r} is unknown to protocol {protocol.name}; {hint}; known: {plain}, and R1@ and "
                        "mAP@ with its thresholds")
    return tuple(name for name in protocol.metrics if name in wanted)

