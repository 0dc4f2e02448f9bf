"""Writes what was measured: tables, picture and examples, into the folder of the benchmark and into a page."""

from collections.abc import Sequence
from pathlib import Path

from hicm.data.annotations import read_annotations, split_references
from hicm.errors import UserError
from hicm.files import copy_file, write_text
from hicm.recipes.memory_reads.conditions import OWN
from hicm.recipes.memory_reads.examples import examples
from hicm.recipes.memory_reads.measured import PROTOCOL, Measured
from hicm.recipes.memory_reads.page import replace_part, require_marks
from hicm.recipes.memory_reads.picture import draw
from hicm.recipes.memory_reads.run import skipped, write_results
from hicm.recipes.memory_reads.spec import Spec
from hicm.recipes.memory_reads.table import Measurements, measurements, tables
from hicm.recipes.memory_reads.trained import Trainer


def write_tables(spec: Spec, out: Path, name: str, command: str, samples: int = 1000, seed: int = 0,
                 page: str = "") -> Path:
    """Write ``table_<split>.md``, ``examples_<split>.md`` and ``picture_<split>.png`` to ``out``; returns the first.

    ``name``: of the benchmark.  ``page``: one with the marks of `page` for ``memory_reads_<name>_<split>``; tables and
    examples are put between them, the picture into its folder ``images``.  Raises UserError where nothing was measured
    yet, or a cell was made with other settings than the specification has.
    """
    check_tables(spec, out, name, page)
    leaving = skipped(spec)
    if not any(out.glob(f"*/seed_*/{spec.split}/measured_{OWN}.json")):
        raise UserError(f"{out}: nothing was measured on split {spec.split} yet; run without --table-only")
    entries = write_results(spec, out, leaving)
    found = measurements(entries, out, samples, seed)
    cells = [cell.name for cell in spec.cells if (cell.name, OWN) in found.entries]
    if not cells:
        raise UserError(f"{out}: no cell and seed of the specification was measured on split {spec.split} yet")
    table = f"{tables(spec, found, leaving)}\n\n{notes(entries, found, command, samples)}"
    shown = f"{_rule(spec)}\n\n{_examples(spec, found, cells, out)}"
    picture = draw(found, cells, out / f"picture_{spec.split}.png", f"{name}: {', '.join(cells)}")
    write_text(out / f"examples_{spec.split}.md", shown + "\n")
    path = write_text(out / f"table_{spec.split}.md", table + "\n")
    if page:
        part = f"memory_reads_{name}_{spec.split}"
        image = f"images/{part}.png"
        replace_part(page, part, f"{table}\n\n![Scores of the cells, and what other inputs change]({image})\n\n{shown}")
        copy_file(picture, Path(page).parent / image)
    return path


def check_tables(spec: Spec, out: Path, name: str, page: str = "") -> None:
    """UserError, before anything is trained, where a cell was made otherwise or ``page`` lacks the marks."""
    trainer = Trainer(spec, out)
    for cell in spec.cells:
        for one in spec.seeds:
            trainer.check_settings(cell, one)
    if page:
        require_marks(page, f"memory_reads_{name}_{spec.split}")


def notes(entries: Sequence[Measured], found: Measurements, command: str, samples: int) -> str:
    """How the numbers came about."""
    dates = sorted(one.date[:10] for one in entries)
    machines = ", ".join(dict.fromkeys(one.machine for one in entries))
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    trained = {(one.cell, one.seed): one.seconds["training"] for one in entries}
    return (f"`{command}`, {when}, {machines}; protocol `{PROTOCOL}`, {entries[0].videos} videos, {samples:,} "
            f"bootstrap samples of videos and seeds; {sum(trained.values()) / 60:.0f} minutes of training in all. "
            "*copied* is the share of the predicted runs of four words that stand in a text that the video read, *of "
            "another* the share that stands in what another video read; with `none` and `zero`, of what they read "
            "with own inputs.")


def _rule(spec: Spec) -> str:
    return (f"Captions beside references: the first ten videos of split `{spec.split}` in the order of a hash of their "
            "ids, the first three events of each, and for each the caption that overlaps most, of the first seed.")


def _examples(spec: Spec, found: Measurements, cells: Sequence[str], out: Path) -> str:
    config = spec.config(spec.cells[0], spec.seeds[0])
    first = split_references(config.data, spec.split)[0]
    return examples(first if isinstance(first, dict) else read_annotations(first), found, cells, out)
