"""Reproduces the published scores of a data set from its released files: download, convert, predict, evaluate, compare.

Each stage is the command of that name; running the recipe again continues it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hicm.config import load_config
from hicm.data.annotations import split_references
from hicm.data.hub.download import download
from hicm.dvc_eval import evaluate
from hicm.dvc_eval.results.score import Result
from hicm.memory.imports import import_bank
from hicm.recipes.ablation.run import OWN, Ablation, run_ablation
from hicm.results.published import METRICS, Benchmark, find_benchmark
from hicm.results.record import make_record, write_record
from hicm.stages.convert import convert_checkpoint
from hicm.stages.predict import predict

MODES = ("descend", "zero", "none")  # searches to compare with the released one


@dataclass(frozen=True)
class Verdict:
    """One metric: the expected score, the measured one with its interval, and the tolerance; all x 100."""

    metric: str
    expected: float
    recalled: bool
    measured: float
    low: float
    high: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the measured score is within the tolerance."""
        return abs(self.measured - self.expected) <= self.tolerance


@dataclass(frozen=True)
class Reproduction:
    """The result of `reproduce`; prints as a table."""

    title: str
    verdicts: tuple[Verdict, ...]
    videos: int
    missing: int
    signature: str
    record: Path
    modes: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether every metric is within its tolerance."""
        return all(verdict.ok for verdict in self.verdicts)

    def __str__(self) -> str:
        lines = [self.title, "", f"{'':<10}{'expected':>10}{'measured':>10}{'95 %':>17}{'tolerance':>11}  verdict"]
        for one in self.verdicts:
            expected = f"{one.expected:.2f}{'*' if one.recalled else ' '}"
            lines.append(f"{one.metric:<10}{expected:>10}{one.measured:>10.2f}{f'{one.low:.2f} .. {one.high:.2f}':>17}"
                         f"{one.tolerance:>11.2f}  {'as published' if one.ok else 'DIFFERS'}")
        lines += ["", "* from memory, not checked against the paper's table", f"{self.videos:,} videos scored, "
                  f"{self.missing:,} reference videos missing", self.signature, f"record: {self.record}"]
        return "\n".join(lines + ([f"modes: {self.modes}"] if self.modes else []))


def reproduce(dataset: str, config: str, source: str, out: Path, overrides: Sequence[str] = (), modes: bool = False,
              samples: int = 1000, command: str = "") -> Reproduction:
    """Run all stages for ``dataset`` with the settings file ``config``; writes to ``out``.

    ``source``: a folder with the layout of the hub repositories, or empty for the hub itself.  ``modes`` also evaluates
    the checkpoint with the corrected search, with zeros, and without memory.  ``samples``: bootstrap samples.
    ``command`` goes into the record.  Raises the UserError of the stage that fails; finished stages are kept.
    """
    benchmark = find_benchmark(dataset)
    print(download(dataset, ".", (), source, "main", False, False))
    overrides = [*overrides, "preset=released", f"memory.path={out / 'bank'}"]
    settings = load_config(config, overrides)
    import_bank(f"presave/{dataset}/hierarchical_clustering_results_{dataset}_70B.pkl", out / "bank",
                settings.memory.encoder, (), False, False, None)
    run = out / "run"
    convert_checkpoint(f"presave/{dataset}/best_model.pth", settings, run)
    split = settings.data.report
    path = predict(run)
    result = evaluate(path, split_references(settings.data, split), "vidchapters", bootstrap=samples, progress=True)
    record = write_record(make_record(dataset, "HiCM2, released weights, released behaviour", result, command),
                          out / "record.json")
    table = _modes(run, out, samples) if modes else None
    title = f"{benchmark.title}: released weights of HiCM2, released behaviour, against {benchmark.released.source}"
    return Reproduction(title, _verdicts(benchmark, result), len(result.videos), len(result.coverage["missing"]),
                        result.signature, record, table)


def _verdicts(benchmark: Benchmark, result: Result) -> tuple[Verdict, ...]:
    expected, found = benchmark.released, []
    for metric in METRICS:
        if metric in expected.scores and metric in result.scores:
            interval = result.intervals[metric]
            found.append(Verdict(metric, expected.scores[metric], metric in expected.recalled,
                                 100 * result.scores[metric], 100 * interval.low, 100 * interval.high,
                                 benchmark.tolerance[metric]))
    return tuple(found)


def _modes(run: Path, out: Path, samples: int) -> Path:
    """The control: does the checkpoint use the content of its memory, or only the presence of memory tokens?"""
    return Path(run_ablation(str(run), out / "modes", Ablation(
        ("top_only", *MODES), (OWN,), ("all",), ("CIDEr", "METEOR", "soda_c", "F1"), samples)))
