"""Figures of the report.  A ``draw_`` function draws finished numbers into axes and returns them; `save` writes files.

The colours follow Okabe and Ito's palette for colour-blind readers; lines also differ in their dashes.
"""

import io
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from hicm.files import atomic
from hicm.report.curves import Panel, smooth
from hicm.report.score_tables import Row
from hicm.report.timeline import Track, clock, ticks

DPI = 160
DASHES = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1, 1.5)))
MARKERS = "os^Dv<"


@dataclass(frozen=True)
class Theme:
    """Colours of a page: background, text, muted text, lines, reference events, and one per run."""

    paper: str
    ink: str
    quiet: str
    line: str
    reference: str
    runs: tuple[str, ...]

    def run(self, number: int) -> str:
        """The colour of a run, or of the reference for -1."""
        return self.reference if number < 0 else self.runs[number % len(self.runs)]


LIGHT = Theme("#ffffff", "#1f2328", "#6a7078", "#dfe2e6", "#767c85",
              ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a8790a", "#882255"))
DARK = Theme("#17191d", "#e4e6ea", "#969ca6", "#33373e", "#8b929c",
             ("#56a9de", "#f0824a", "#35bf96", "#e29cc4", "#e3b341", "#d98aa6"))


def draw_panel(axes: Axes, panel: Panel, theme: Theme) -> Axes:
    """One quantity with one line per run: faint values and their running mean, or marked points if there are few."""
    for series in panel.series:
        colour, dashes = theme.run(series.run), DASHES[series.run % len(DASHES)]
        many = len(series.y) > 40 and not panel.points and panel.name != "lr"
        if many:
            axes.plot(series.x, series.y, color=colour, linewidth=0.7, alpha=0.3)
        y = smooth(series.y, max(3, len(series.y) // 20)) if many else series.y
        axes.plot(series.x, y, color=colour, linestyle=dashes, linewidth=1.6, label=series.label,
                  marker=MARKERS[series.run % len(MARKERS)] if panel.points else None, markersize=4.5)
    axes.set_title(panel.title, loc="left", parse_math=False, color=theme.ink, fontsize=9.5, fontweight="bold")
    axes.set_xlabel(panel.xlabel)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(axis="y", scilimits=(-2, 4))
    return style(axes, theme)


def draw_metrics(axes: Axes, rows: Sequence[Row], labels: Sequence[str], theme: Theme) -> Axes:
    """Scores times 100 as points, one row per metric and one marker per run, with the 95 % intervals if known."""
    values = np.array([[float(cell.value) if cell.value != "–" else np.nan for cell in row.cells] for row in rows])
    places = np.arange(len(rows))
    seen = ~np.isnan(values).all(axis=1) & np.array([not any(cell.interval for cell in row.cells) for row in rows])
    axes.hlines(places[seen], np.nanmin(values[seen], axis=1), np.nanmax(values[seen], axis=1), color=theme.line,
                linewidth=3, zorder=1)
    for run, label in enumerate(labels):
        with_ends = [(place, row.cells[run].interval) for place, row in enumerate(rows) if row.cells[run].interval]
        aside = 0.16 * (run - (len(labels) - 1) / 2) if with_ends else 0.0  # so that intervals do not hide each other
        for place, (low, high) in with_ends:
            axes.hlines(place + aside, low, high, color=theme.run(run), linewidth=1.4, zorder=2)
        axes.scatter(values[:, run], places + aside, s=34, color=theme.run(run), marker=MARKERS[run % len(MARKERS)],
                     label=label, zorder=3, linewidths=0, clip_on=False)
    axes.set_yticks(places, [row.label for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    ends = [end for row in rows for cell in row.cells for end in cell.interval]
    left, right = min(0.0, np.nanmin(values), *ends), max(np.nanmax(values), 1.0, *ends)
    axes.set_xlim(left, right + 0.04 * (right - left))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return style(axes, theme, grid="x")


def draw_timeline(axes: Axes, tracks: Sequence[Track], duration: float, theme: Theme) -> Axes:
    """Events of every track as numbered bars over the seconds of the video."""
    top, places = 0.0, []
    for track in tracks:
        for bar in track.bars:
            start, length = bar.start, max(bar.end - bar.start, 0.003 * duration)
            axes.barh(top + bar.lane, length, left=start, height=0.78, color=theme.run(track.colour), linewidth=0.8,
                      edgecolor=theme.paper)
            axes.text(start + length / 2, top + bar.lane, str(bar.number), color=theme.paper, fontsize=7, ha="center",
                      va="center", clip_on=True)
        places.append(top + (track.lanes - 1) / 2)
        top += track.lanes + 0.25
    axes.set_yticks(places, [track.name for track in tracks])
    axes.set_ylim(top - 0.6, -0.6)
    axes.set_xlim(0, duration)
    marks = ticks(duration)
    axes.set_xticks(marks, [clock(mark) for mark in marks])
    style(axes, theme, grid="x")
    axes.tick_params(axis="y", labelcolor=theme.ink)
    return axes


def draw_captions(axes: Axes, tracks: Sequence[Track], lines: Sequence[Sequence[str]], theme: Theme) -> Axes:
    """The captions of each track as a column of text; ``lines`` come from `caption_lines`."""
    rows = max(map(len, lines)) + 1
    for place, (track, column) in enumerate(zip(tracks, lines, strict=True)):
        x = place / len(tracks)
        axes.text(x, 0, track.name, color=theme.run(track.colour), fontsize=8, fontweight="bold", va="top",
                  parse_math=False)
        for row, line in enumerate(column, start=1):
            axes.text(x, row + 0.2, line, color=theme.ink, fontsize=7.5, va="top", parse_math=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(rows + 0.2, 0)
    axes.set_axis_off()
    return axes


def caption_lines(track: Track, width: int) -> list[str]:
    """Numbered captions wrapped at ``width`` characters; longer words are broken."""
    lines: list[str] = []
    for bar in track.bars:
        lines += textwrap.wrap(f"{bar.number}  {bar.text}", width, subsequent_indent="    ") or [str(bar.number)]
    return lines or ["no events"]


def timeline_figure(title: str, tracks: Sequence[Track], duration: float, theme: Theme) -> Figure:
    """Bars above, captions below; the height follows their number."""
    width = 9.6
    lines = [caption_lines(track, max(16, int(150 / len(tracks)))) for track in tracks]
    heights = [0.24 * (sum(track.lanes + 0.25 for track in tracks)) + 0.1, 0.148 * (max(map(len, lines)) + 1.2)]
    frame = 0.95
    figure = Figure(figsize=(width, sum(heights) + frame), facecolor=theme.paper)
    high = figure.get_figheight()
    longest = max(len(track.name) for track in tracks)
    left = min(0.25, 0.03 + 0.0085 * longest)
    bars = figure.add_axes((left, 1 - (0.38 + heights[0]) / high, 0.985 - left, heights[0] / high))
    texts = figure.add_axes((0.015, 0.08 / high, 0.97, heights[1] / high))
    draw_timeline(bars, tracks, duration, theme)
    draw_captions(texts, tracks, lines, theme)
    figure.text(0.015, 1 - 0.1 / high, title, color=theme.ink, fontsize=9.5, fontweight="bold", va="top",
                parse_math=False)
    return figure


def panel_figure(panel: Panel, theme: Theme) -> Figure:
    """One panel by itself."""
    figure = Figure(figsize=(4.2, 2.6), facecolor=theme.paper, layout="constrained")
    draw_panel(figure.subplots(), panel, theme)
    return figure


def panels_figure(panels: Sequence[Panel], theme: Theme, columns: int = 3) -> Figure:
    """All panels in one figure, with one legend."""
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.6 * rows + 0.35), facecolor=theme.paper,
                    layout=ConstrainedLayoutEngine(hspace=0.06, wspace=0.04))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        draw_panel(axes, panel, theme)
    for axes in grid.flat[len(panels):]:
        axes.set_axis_off()
    handles = {series.label: line for axes, panel in zip(grid.flat, panels, strict=False)
               for series, line in zip(panel.series, [line for line in axes.lines if line.get_alpha() is None],
                                       strict=True)}
    legend(figure, handles, theme)
    return figure


def metrics_figure(rows: Sequence[Row], labels: Sequence[str], theme: Theme) -> Figure:
    """The main scores of all runs, with CIDEr, which may exceed 100, on its own axis."""
    groups = [group for group in ([row for row in rows if (row.name == "CIDEr") == own] for own in (False, True))
              if group]
    heights = [len(group) + 1 for group in groups]
    figure = Figure(figsize=(4.8, 0.25 * sum(heights) + 0.7), facecolor=theme.paper, layout="constrained")
    grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights)
    for axes, group in zip(grid.flat, groups, strict=True):
        draw_metrics(axes, group, labels, theme)
    grid[-1, 0].set_xlabel("score × 100")
    handles, names = grid[0, 0].get_legend_handles_labels()
    legend(figure, dict(zip(names, handles, strict=True)), theme)
    return figure


def style(axes: Axes, theme: Theme, grid: Literal["x", "y", "both"] = "y") -> Axes:
    """Plain axes: no box, a light grid, small type."""
    axes.set_facecolor(theme.paper)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(theme.line)
    axes.tick_params(colors=theme.quiet, labelsize=8, length=0)
    axes.grid(axis=grid, color=theme.line, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.label.set(color=theme.quiet, fontsize=8)
    axes.yaxis.get_offset_text().set(color=theme.quiet, fontsize=8)
    axes.xaxis.get_offset_text().set(color=theme.quiet, fontsize=8)
    return axes


def save(figure: Figure, path: Path | None, about: str) -> bytes:
    """The figure as PNG with ``about`` (run ids) in its metadata, also written to ``path`` if given."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # captions may be in any language
        figure.savefig(stream, format="png", dpi=DPI, facecolor=figure.get_facecolor(),
                       metadata={"Description": about, "Software": "hicm"})
    if path is not None:
        with atomic(path) as temporary:
            temporary.write_bytes(stream.getvalue())
    return stream.getvalue()


def legend(figure: Figure, handles: dict[str, Any], theme: Theme, columns: int = 4) -> None:
    """A legend above all axes of a figure; ``handles``: label -> what was drawn."""
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=min(len(handles), columns),
                  frameon=False, fontsize=8.5, labelcolor=theme.ink)
