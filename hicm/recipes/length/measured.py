"""What was measured of one factor and way: an entry of ``results.json``, in a file of its own."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hicm.files import write_json
from hicm.recipes.memory_reads.measured import PROTOCOL, read_entry

WHOLE, ALONE = "whole", "alone"  # ways beside parts
FORM = 1  # of what is measured: one higher when the same predictions would give other entries


@dataclass(frozen=True)
class Measured:
    """One entry of ``results.json``.  Scores are fractions; events are means per long video."""

    factor: int
    way: str  # WHOLE, ALONE, or parts_<seconds>
    longest: float  # seconds of a part; 0: videos are not cut
    videos: int
    minutes: float  # mean duration of the videos
    made_of: str  # digest of predictions, references and how they are measured
    predictions: str  # file, seen from the folder of results.json
    machine: str
    date: str
    commit: str
    signature: str
    annotated: float  # events per video and annotator
    predicted: float  # events per video
    seconds: dict[str, float] = field(default_factory=dict)  # predicting (0: nothing was), scoring
    scores: dict[str, float] = field(default_factory=dict)


def write_measured(one: Measured, path: Path) -> Path:
    """Write an entry."""
    return write_json(path, asdict(one))


def gather(out: Path) -> list[Measured]:
    """All entries below ``out``, by factor and way: whole, in parts, alone."""
    found = [read_entry(Measured, path) for path in out.glob("x*/measured_*.json")]
    return sorted(found, key=lambda one: (one.factor, one.way == ALONE, one.longest))


def write_results(out: Path, about: dict[str, Any], entries: Sequence[Measured]) -> Path:
    """Write ``results.json``: what was measured, how (``about``), and the entries."""
    content = {"protocol": PROTOCOL, **about, "entries": [asdict(one) for one in entries]}
    return write_json(out / "results.json", content)


def way_name(longest: float) -> str:
    """The way of videos that are captioned in parts of at most ``longest`` seconds.

    >>> way_name(800.0), way_name(0)
    ('parts_800', 'whole')
    """
    return f"parts_{longest:g}" if longest else WHOLE
