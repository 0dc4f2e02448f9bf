"""Writes what was found: tables and pictures, into the folder of the results and into a page."""

from pathlib import Path

from hicm.files import copy_file, write_text
from hicm.recipes.explain.picture import draw_recall, draw_taken
from hicm.recipes.explain.run import Explained
from hicm.recipes.explain.tables import tables
from hicm.recipes.memory_reads.page import replace_part, require_marks


def part_of(name: str) -> str:
    """What the generated part of a page is called."""
    return f"why_{name}"


def check_page(page: str, name: str) -> None:
    """UserError, before anything is measured, where ``page`` is given and lacks the marks."""
    if page:
        require_marks(page, part_of(name))


def write_tables(found: Explained, out: Path, command: str, name: str, page: str = "") -> Path:
    """Write ``table.md``, ``recall.png`` and ``taken.png`` to ``out``; returns the first.

    ``page``: one with the marks of `hicm.recipes.memory_reads.page` for ``why_<name>``; the tables are put between
    them, the pictures into its folder ``images``.  Raises UserError where the page has no such marks.
    """
    text = tables(found, command)
    pictures = {"recall": (draw_recall(found, out / "recall.png"), "Recall by level, the right branch, and windows"),
                "taken": (draw_taken(found, out / "taken.png"), "Attention, copied words, and where they come from")}
    path = write_text(out / "table.md", text + "\n")
    if page:
        images = {kind: f"images/{part_of(name)}_{kind}.png" for kind in pictures}
        shown = [f"![{about}]({images[kind]})" for kind, (_, about) in pictures.items()]
        replace_part(page, part_of(name), "\n\n".join([text, *shown]))
        for kind, (picture, _) in pictures.items():
            copy_file(picture, Path(page).parent / images[kind])
    return path
