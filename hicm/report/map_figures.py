"""Drawings of a memory bank: the 2-D map and the tree with Plotly, and the map again as a picture."""

import html
import textwrap
from typing import Any

import numpy as np

from hicm.memory.show import origin_of
from hicm.report.memory_map_outline import Outline

# For the largest top clusters; adjacent ranks differ in hue and lightness.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a8790a", "#882255", "#4fa9dd", "#6a8f1f", "#7a52c7", "#f0a202",
           "#1f4e79", "#e0457b", "#2aa6a0", "#8c4a2f", "#a58be0", "#5d7a8c", "#b3261e", "#79b84a", "#c15fd0", "#5a5f00")
OTHER = "#a3a9b1"
NODES = 30_000  # tiles in the tree at most
TOPS = 1000  # top nodes in the tree at most
FONTS = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Source Han Sans", "WenQuanYi Zen Hei",
         "Hiragino Sans", "PingFang SC", "Yu Gothic", "Microsoft YaHei", "Malgun Gothic", "Noto Sans Arabic",
         "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Thai", "Nirmala UI", "Arial Unicode MS", "Segoe UI")
CLEAR = "rgba(0,0,0,0)"
BUTTONS = {"bgcolor": CLEAR, "color": OTHER, "activecolor": COLOURS[0]}
SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
WIDE = 60  # characters per line of the texts shown on hover


def cloud_figure(outline: Outline, ids: np.ndarray, places: np.ndarray) -> Any:
    """The map as a Plotly figure: one trace per coloured top cluster, numbered where it is densest; the others grey."""
    from plotly import graph_objects

    path = outline.path(outline.base, ids)
    texts = np.asarray(_hover_texts(outline, path), object)
    size = 4 if len(ids) > 3000 else 6
    figure = graph_objects.Figure()
    for rank, rows in _groups(outline, path[-1]):
        x, y = places[rows].T
        figure.add_trace(graph_objects.Scatter(
            x=x, y=y, mode="markers", name=_escape(_legend(outline, rank)), hovertext=texts[rows].tolist(),
            hoverinfo="text", marker={"color": _colour(rank), "size": size, "opacity": 0.75, "line": {"width": 0}}))
    for rank, rows in _groups(outline, path[-1]):
        if rank >= 0:
            x, y = _densest(places, rows)
            figure.add_annotation(x=x, y=y, text=f"<b>{rank + 1}</b>", showarrow=False, bgcolor=_colour(rank),
                                  bordercolor="#ffffff", borderwidth=1, borderpad=2,
                                  font={"color": "#ffffff", "size": 11})
    axis = {"visible": False, "showgrid": False, "zeroline": False}
    figure.update_layout(
        template="none", height=720, paper_bgcolor=CLEAR, plot_bgcolor=CLEAR, margin={"l": 0, "r": 0, "t": 30, "b": 0},
        dragmode="pan", hovermode="closest", font={"family": SANS, "size": 13}, xaxis=axis, yaxis=axis,
        hoverlabel={"align": "left", "namelength": 0}, legend={"itemsizing": "constant", "font": {"size": 12}},
        modebar=BUTTONS)
    return figure


def drawn_nodes(outline: Outline) -> list[tuple[int, int]]:
    """The tiles, as (level, node): the largest top nodes, then whole levels below them while there is room."""
    level, ids = outline.bank.depth, outline.ranked[:TOPS]
    nodes: list[tuple[int, int]] = []
    while len(nodes) + len(ids) <= NODES:
        nodes += [(level, int(node)) for node in ids]
        if level == 0:
            break
        ids = np.concatenate([outline.bank.levels[level - 1].children[node] for node in ids]).astype(np.int64)
        level -= 1
        if not len(ids):
            break
    return nodes


def tree_figure(outline: Outline, nodes: list[tuple[int, int]]) -> Any:
    """The tree as a Plotly treemap: size = captions below, colour = top cluster, lighter on finer levels."""
    from plotly import graph_objects

    top, total = outline.bank.depth, int(outline.bank.sizes[-1].sum())
    kept = int(sum(outline.bank.sizes[level][node] for level, node in nodes if level == top))
    ranks = [np.argsort(outline.ranked)[outline.path(level, np.arange(len(outline.bank.texts(level))))[-1]]
             for level in range(top + 1)]
    ids, parents, labels, short = ["all"], [""], ["all"], ["all"]
    texts, values, colours = [f"<b>the whole memory</b><br>{total:,} {outline.unit}"], [total], ["#dfe2e6"]
    for level, node in nodes:
        ids.append(f"{level}.{node}")
        parents.append(f"{level + 1}.{outline.bank.levels[level].parents[node]}" if level < top else "all")
        labels.append(_escape(_short(outline.bank.texts(level)[node], 40)))
        short.append(_lines(_short(outline.bank.texts(level)[node], 48), 20))
        texts.append(_tile_text(outline, level, node))
        values.append(int(outline.bank.sizes[level][node]))
        colours.append(_pale(_colour(int(ranks[level][node])), 0.35 + 0.45 * (top - level) / top))
    if kept < total:
        left = len(outline.ranked) - TOPS
        ids.append("rest")
        parents.append("all")
        labels.append(f"{left:,} smaller nodes")
        short.append(labels[-1])
        texts.append(f"<b>{left:,} smaller nodes of level {top}</b><br>{total - kept:,} {outline.unit}")
        values.append(total - kept)
        colours.append(OTHER)
    figure = graph_objects.Figure(graph_objects.Treemap(
        ids=ids, parents=parents, labels=labels, text=short, values=values, hovertext=texts, hoverinfo="text",
        branchvalues="total", maxdepth=3, textinfo="text", textfont={"color": "#1f2328"}, tiling={"pad": 1},
        marker={"colors": colours, "line": {"width": 1, "color": "#ffffff"}, "pad": {"t": 24, "l": 2, "r": 2, "b": 2}},
        pathbar={"thickness": 26, "textfont": {"size": 12}}))
    figure.update_layout(template="none", height=760, paper_bgcolor=CLEAR, margin={"l": 0, "r": 0, "t": 30, "b": 0},
                         font={"family": SANS, "size": 12}, hoverlabel={"align": "left"}, modebar=BUTTONS)
    return figure


def picture_bytes(outline: Outline, ids: np.ndarray, places: np.ndarray, name: str) -> bytes:
    """The map as a PNG, with the summaries of the coloured clusters where these are densest."""
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.figure import Figure
    from matplotlib.patheffects import withStroke

    from hicm.report.figures import LIGHT, save

    tops = outline.path(outline.base, ids)[-1]
    installed = {font.name for font in font_manager.fontManager.ttflist}
    with matplotlib.rc_context({"font.family": [font for font in FONTS if font in installed] or ["sans-serif"]}):
        figure = Figure(figsize=(11, 8.5), facecolor=LIGHT.paper)
        axes = figure.add_axes((0.01, 0.01, 0.98, 0.94))
        axes.set_axis_off()
        for rank, rows in _groups(outline, tops)[::-1]:
            axes.scatter(places[rows, 0], places[rows, 1], s=5 if len(ids) > 3000 else 14, color=_colour(rank),
                         linewidths=0, alpha=0.6)
        axes.autoscale_view()
        found = [(rank, _densest(places, rows)) for rank, rows in _groups(outline, tops) if rank >= 0]
        labels = [_short(outline.bank.texts(outline.bank.depth)[outline.ranked[rank]], 34)
                  for rank, _ in found]
        wanted = axes.transData.transform([place for _, place in found])
        for (rank, _), label, start, end in zip(found, labels, wanted, _apart(figure, wanted, labels), strict=True):
            x, y = axes.transData.inverted().transform(end)
            if abs(end[1] - start[1]) > 6:
                axes.plot(*np.stack([axes.transData.inverted().transform(start), (x, y)]).T, color=_colour(rank),
                          linewidth=0.8)
            axes.text(x, y, label, color=_dark(_colour(rank)), fontsize=8.5, fontweight="bold", ha="center",
                      va="center", parse_math=False, path_effects=[withStroke(linewidth=2.5, foreground="white")])
        figure.text(0.01, 0.985, f"{name}: {len(ids):,} {'nodes of level 1' if outline.base else 'captions'}, coloured "
                    f"by level {outline.bank.depth}", color=LIGHT.quiet, fontsize=9, va="top", parse_math=False)
        return save(figure, None, f"memory map of {name}")


def _groups(outline: Outline, tops: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(rank, points) of each coloured top cluster, largest first, then (-1, points) of all others together."""
    shown = outline.ranked[:len(COLOURS)]
    groups = [(rank, np.flatnonzero(tops == top)) for rank, top in enumerate(shown)]
    groups.append((-1, np.flatnonzero(~np.isin(tops, shown))))
    return [(rank, rows) for rank, rows in groups if len(rows)]


def _colour(rank: int) -> str:
    return COLOURS[rank] if 0 <= rank < len(COLOURS) else OTHER


def _legend(outline: Outline, rank: int) -> str:
    sizes = outline.bank.sizes[-1]
    if rank < 0:
        rest = outline.ranked[len(COLOURS):]
        return f"{len(rest):,} other clusters ({sizes[rest].sum():,})"
    top = outline.ranked[rank]
    return f"{rank + 1}  {_short(outline.bank.texts(outline.bank.depth)[top], 48)} ({sizes[top]:,})"


def _hover_texts(outline: Outline, path: list[np.ndarray]) -> list[str]:
    """One text per point: its own, its origin, and the summaries above it, the top last."""
    above = []
    for level, nodes in enumerate(path[1:], start=outline.base + 1):
        texts = outline.bank.texts(level)
        lines = {int(node): f"<br>{level}  {_lines(texts[node], WIDE)}" for node in np.unique(nodes)}
        above.append([lines[node] for node in nodes.tolist()])
    return [_own_text(outline, outline.base, node) + "".join(lines)
            for node, *lines in zip(path[0].tolist(), *above, strict=True)]


def _own_text(outline: Outline, level: int, node: int) -> str:
    text = f"<b>{_lines(outline.bank.texts(level)[node], WIDE)}</b>"
    if level == 0 and outline.bank.leaves is not None:
        return f"{text}<br>{_escape(origin_of(outline.bank.leaves, node))}"
    return f"{text}<br>level {level}, {outline.bank.sizes[level][node]:,} {outline.unit}"


def _tile_text(outline: Outline, level: int, node: int) -> str:
    text = _own_text(outline, level, node)
    if level == 0:
        return text
    leaves, author = outline.bank.leaves, outline.bank.levels[level - 1].authors[node]
    if leaves is None or author < 0:
        return text
    return f"{text}<br>quoted from {_escape(origin_of(leaves, author))}"


def _short(text: str, width: int) -> str:
    """The text on one line, cut to ``width`` characters, between words where possible."""
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    cut = text[:width - 1]
    return (cut[:cut.rindex(" ")] if " " in cut[width // 2:] else cut) + "…"


def _escape(text: str) -> str:
    """Text escaped for Plotly, which reads tags such as <b>, and entities except those of quotes."""
    return html.escape(text, quote=False)


def _lines(text: str, width: int) -> str:
    """Escaped text broken into lines; longer words, and scripts without spaces, are cut."""
    return "<br>".join(_escape(line) for line in textwrap.wrap(text, width)) or "(no words)"


def _densest(places: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where a cluster is densest: the mean of its points in the fullest of 20 x 20 cells of the map."""
    low, high = places.min(axis=0), places.max(axis=0)
    cells = np.minimum(20 * (places[rows] - low) / np.maximum(high - low, 1e-9), 19).astype(np.int64) @ [20, 1]
    return places[rows[cells == np.bincount(cells).argmax()]].mean(axis=0)


def _apart(figure: Any, wanted: np.ndarray, labels: list[str]) -> np.ndarray:
    """Positions in pixels near the wanted ones where no label covers another; earlier labels move less."""
    size = figure.dpi * 8.5 / 72
    found = np.zeros((0, 3))
    for (x, y), label in zip(wanted, labels, strict=True):
        half = 0.32 * size * len(label)
        x = np.clip(x, half, max(figure.bbox.width - half, half))
        for step in range(4 * len(labels) + 1):
            moved = y + (-1) ** step * ((step + 1) // 2) * 0.8 * size
            near = (np.abs(found[:, 1] - moved) < 1.5 * size) & (np.abs(found[:, 0] - x) < found[:, 2] + half)
            if not near.any():
                break
        found = np.vstack([found, [x, moved, half]])
    return found[:, :2]


def _pale(colour: str, share: float) -> str:
    """The colour, mixed with this share of white."""
    return _mix(colour, share, 255)


def _dark(colour: str) -> str:
    return _mix(colour, 0.25, 0)


def _mix(colour: str, share: float, other: int) -> str:
    parts = [int(colour[start:start + 2], 16) for start in (1, 3, 5)]
    return "#" + "".join(f"{round((1 - share) * part + share * other):02x}" for part in parts)
