"""The benchmark: every cell, seed and condition, then table, picture and examples.  Running it again continues it."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hicm.files import write_json
from hicm.locks import holding
from hicm.recipes.memory_reads.conditions import parse_condition, why_not
from hicm.recipes.memory_reads.measured import Measured, gather, results_content
from hicm.recipes.memory_reads.spec import Cell, Spec
from hicm.recipes.memory_reads.tested import Split, Tester
from hicm.recipes.memory_reads.trained import Trainer

Say = Callable[[str], None]
Skipped = dict[str, dict[str, str]]  # cell -> condition -> why


def run_cells(spec: Spec, out: Path, only: Sequence[str] = (), say: Say = print) -> None:
    """Train and test the cells, or those named in ``only``; ``results.json`` grows with every entry.

    ``say`` is given a line per training and test.  Raises UserError where a folder was made otherwise, and the errors
    of the stages; what is finished is kept.
    """
    trainer, leaving = Trainer(spec, out), skipped(spec)
    todo = [(cell, seed) for seed in spec.seeds for cell in spec.cells if not only or cell.name in only]
    for number, (cell, seed) in enumerate(todo, start=1):
        _run_cell(trainer, cell, seed, f"{number} of {len(todo)}: {cell.name}, seed {seed}", leaving, say)


def skipped(spec: Spec) -> Skipped:
    """The conditions that say nothing about a cell, and why."""
    found: Skipped = {}
    for cell in spec.cells:
        config = spec.config(cell, spec.seeds[0])
        whys = {condition: why_not(config, parse_condition(condition)) for condition in spec.conditions_of(cell)}
        found[cell.name] = {condition: why for condition, why in whys.items() if why}
    return found


def write_results(spec: Spec, out: Path, leaving: Skipped) -> list[Measured]:
    """Write ``results.json`` from what lies in ``out``; returns the entries of the split and seeds.

    ``leaving``: as `skipped` says.
    """
    with holding(out / ".results.json.lock", "bench_memory_reads", wait=True):
        entries = gather(out, [cell.name for cell in spec.cells])
        write_json(out / "results.json", results_content(entries, leaving))
    return [one for one in entries if one.split == spec.split and one.seed in spec.seeds]


def _run_cell(trainer: Trainer, cell: Cell, seed: int, name: str, leaving: Skipped, say: Say) -> None:
    spec, folder, config = trainer.spec, trainer.folder(cell, seed), trainer.config(cell, seed)
    origin = trainer.origin(config)
    trainer.claim(folder, origin)
    began = time.monotonic()
    run, seconds = trainer.train(config, folder)
    say(f"{name}: trained in {seconds:.0f} s" + (" before" if time.monotonic() - began < 0.9 * seconds else ""))
    tester = Tester(run, origin.identity, config, Split(config, spec.split, trainer.out), seconds)
    for condition in spec.conditions_of(cell):
        if why := leaving[cell.name].get(condition):
            say(f"{name}: {condition}: left out, {why}")
            continue
        one, new = tester.test(cell.name, seed, condition)
        if new:
            write_results(spec, trainer.out, leaving)
        say(f"{name}: {condition}: CIDEr {100 * one.scores['CIDEr']:.2f}, METEOR {100 * one.scores['METEOR']:.2f}, "
            f"SODA_c {100 * one.scores['soda_c']:.2f}, "
            + (f"predicted in {one.seconds['predicting']:.0f} s" if new else "measured before"))
