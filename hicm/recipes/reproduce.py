"""Reproduces the published scores of a data set from its released files: download, convert, predict, evaluate, compare.

Each stage is the command of that name; running the recipe again continues it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hicm.config import load_config
from hicm.data.annotations import split_references
from hicm.dvc_eval import evaluate
from hicm.dvc_eval.results.score import Result
from hicm.errors import UserError
from hicm.memory.imports import import_bank
from hicm.recipes.ablation.run import OWN, Ablation, run_ablation
from hicm.recipes.released_files import find_inputs
from hicm.results.published import Benchmark, find_benchmark
from hicm.results.record import make_record, write_record
from hicm.stages.convert import convert_checkpoint
from hicm.stages.predict import predict

MODES = ("descend", "zero", "none")  # searches to compare with the released one
MODE_METRICS = ("CIDEr", "METEOR", "soda_c", "F1", "F1_of_means")


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
    notes: tuple[str, ...] = ()  # what is not as released

    @property
    def ok(self) -> bool:
        """Whether every metric is within its tolerance."""
        return all(verdict.ok for verdict in self.verdicts)

    def __str__(self) -> str:
        lines = [self.title, "", f"{'':<12}{'expected':>10}{'measured':>10}{'95 %':>17}{'tolerance':>11}  verdict"]
        for one in self.verdicts:
            expected = f"{one.expected:.2f}{'*' if one.recalled else ' '}"
            lines.append(f"{one.metric:<12}{expected:>10}{one.measured:>10.2f}{f'{one.low:.2f} .. {one.high:.2f}':>17}"
                         f"{one.tolerance:>11.2f}  {'as published' if one.ok else 'DIFFERS'}")
        lines += ["", "* from memory, not checked against the paper's table", f"{self.videos:,} videos scored, "
                  f"{self.missing:,} reference videos missing", self.signature, f"record: {self.record}"]
        return "\n".join([*lines, *([f"modes: {self.modes}"] if self.modes else []), *self.notes])


def reproduce(dataset: str, config: str, source: str, out: Path, overrides: Sequence[str] = (), modes: bool = False,
              samples: int = 1000, command: str = "") -> Reproduction:
    """Run all stages for ``dataset`` with the settings file ``config``; writes to ``out``.

    ``source``: where the released files are (`find_inputs`).  ``modes`` also evaluates the checkpoint with the search
    that walks down the tree (HiCM2), with zeros, and without memory.  ``samples``: bootstrap samples.
    ``command`` goes into the record.  Raises the UserError of the stage that fails; finished stages are kept.
    """
    benchmark = find_benchmark(dataset)
    found = find_inputs(dataset, source)
    overrides = [*found.overrides, *overrides, "preset=released", f"evaluate.protocol={benchmark.protocol}"]
    if found.bank:
        overrides.append(f"memory.path={out / 'bank'}")
    elif modes:
        raise UserError(f"--modes: {found.model} reads no memory, so there is nothing to compare; leave the option out")
    settings = load_config(config, overrides)
    if found.bank:
        import_bank(found.bank, out / "bank", settings.memory.encoder, (), False, False, None)
    run = convert_checkpoint(found.checkpoint, settings, out / "run")
    split = settings.data.report
    path = predict(run)
    result = evaluate(path, split_references(settings.data, split), benchmark.protocol, bootstrap=samples,
                      progress=True)
    record = write_record(make_record(dataset, f"{found.model}, released weights, released behaviour", result, command),
                          out / "record.json")
    table = _modes(run, settings.retrieval.search, benchmark, out, samples) if modes else None
    title = (f"{benchmark.title}: released weights of {found.model}, released behaviour, against "
             f"{benchmark.released.source}")
    return Reproduction(title, _verdicts(benchmark, result), len(result.videos), len(result.coverage["missing"]),
                        result.signature, record, table, found.notes)


def _verdicts(benchmark: Benchmark, result: Result) -> tuple[Verdict, ...]:
    expected, found = benchmark.released, []
    for metric in benchmark.metrics:
        if metric in expected.scores and metric in result.scores:
            interval = result.intervals[metric]
            found.append(Verdict(metric, expected.scores[metric], metric in expected.recalled,
                                 100 * result.scores[metric], 100 * interval.low, 100 * interval.high,
                                 benchmark.tolerance[metric]))
    return tuple(found)


def _modes(run: Path, search: str, benchmark: Benchmark, out: Path, samples: int) -> Path:
    """The control: does the checkpoint use the content of its memory, or only that there is some?"""
    metrics = tuple(metric for metric in MODE_METRICS if metric in benchmark.metrics)
    searches = (search, *(mode for mode in MODES if search != "flat" or mode != "descend"))  # a flat bank is no tree
    return Path(run_ablation(str(run), out / "modes", Ablation(searches, (OWN,), ("all",), metrics, samples)))
