"""The table and the picture of what was measured, also in a page."""

from collections.abc import Sequence
from pathlib import Path

from hicm.files import copy_file, write_text
from hicm.recipes.length.measured import ALONE, WHOLE, Measured
from hicm.recipes.memory_reads.measured import METRICS, PROTOCOL
from hicm.recipes.memory_reads.page import replace_part

DRAWN = ("CIDEr", "soda_c", "F1_of_means")


def write_tables(entries: Sequence[Measured], out: Path, run: str, split: str, command: str, name: str,
                 page: str = "") -> Path:
    """Write ``table.md`` and ``picture.png`` to ``out``; returns the first.

    ``page``: one with the marks of `hicm.recipes.memory_reads.page` for ``length_<name>``; the table is put between
    them, the picture into its folder ``images``.  Raises UserError where the page has no such marks.
    """
    text = f"{table(entries)}\n\n{notes(entries, run, split, command)}"
    picture = draw(entries, out / "picture.png", f"{run}, split {split}")
    path = write_text(out / "table.md", text + "\n")
    if page:
        image = f"images/length_{name}.png"
        replace_part(page, f"length_{name}", f"{text}\n\n![Scores of videos joined by each factor]({image})")
        copy_file(picture, Path(page).parent / image)
    return path


def table(entries: Sequence[Measured]) -> str:
    """Markdown: scores x 100, a row per factor and way."""
    names = ["joined", "videos", "minutes each", "captioned", *METRICS.values(), "events, of annotated"]
    lines = ["| " + " | ".join(names) + " |", "|--:|--:|--:|---|" + "--:|" * (len(METRICS) + 1)]
    for one in entries:
        scores = " | ".join(f"{100 * one.scores[metric]:.2f}" for metric in METRICS)
        lines.append(f"| {one.factor} | {one.videos} | {one.minutes:.1f} | {label(one.way)} | {scores} | "
                     f"{one.predicted:.1f} of {one.annotated:.1f} |")
    return "\n".join(lines)


def notes(entries: Sequence[Measured], run: str, split: str, command: str) -> str:
    """How the numbers came about."""
    dates = sorted(one.date[:10] for one in entries)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    machines = ", ".join(dict.fromkeys(one.machine for one in entries))
    return f"`{command}`, run `{run}`, split `{split}`, {when}, {machines}; protocol `{PROTOCOL}`, scores x 100."


def label(way: str) -> str:
    """A way in words.

    >>> label("parts_800"), label("alone")
    ('in parts of 800 s', 'each video alone')
    """
    if way in (WHOLE, ALONE):
        return {WHOLE: "whole", ALONE: "each video alone"}[way]
    return f"in parts of {way.removeprefix('parts_')} s"


def draw(entries: Sequence[Measured], path: Path, about: str) -> Path:
    """A panel per metric with the scores against the factor, a line per way; a PNG file."""
    from matplotlib.figure import Figure

    from hicm.report.figures import DASHES, LIGHT, MARKERS, legend, save, style

    ways = list(dict.fromkeys(one.way for one in sorted(entries, key=lambda one: (one.way == ALONE, one.longest))))
    factors = sorted({one.factor for one in entries})
    figure = Figure(figsize=(8.4, 2.9), layout="constrained", facecolor=LIGHT.paper)
    handles = {}
    for axes, metric in zip(figure.subplots(1, len(DRAWN)), DRAWN, strict=True):
        style(axes, LIGHT)
        for place, way in enumerate(ways):
            own = sorted((one.factor, 100 * one.scores[metric]) for one in entries if one.way == way)
            colour = LIGHT.reference if way == ALONE else LIGHT.run(place)
            dash, marker = DASHES[place % len(DASHES)], MARKERS[place % len(MARKERS)]
            handles[label(way)], = axes.plot(*zip(*own, strict=True), color=colour, linestyle=dash, marker=marker,
                                             linewidth=1.6, markersize=4)
        axes.set_xscale("log")
        axes.set_xticks(factors, [f"{factor} x" for factor in factors])
        axes.set_xticks([], minor=True)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("videos joined")
        axes.set_title(f"{METRICS[metric]} x 100", fontsize=9, color=LIGHT.ink, loc="left")
    legend(figure, handles, LIGHT)
    save(figure, path, about)
    return path
