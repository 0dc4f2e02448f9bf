"""Two pictures: what is recalled, and what the captioner takes of it."""

from pathlib import Path
from typing import Any

from hicm.recipes.explain.branches import BEST, DESCEND, FLAT, OWN
from hicm.recipes.explain.levels import RANDOM, SOURCES
from hicm.recipes.explain.recall import EVENT
from hicm.recipes.explain.run import Explained
from hicm.recipes.explain.tables import layer_name, level_name, rank_names
from hicm.recipes.explain.taken import CHANCES, Copying, Taken


def draw_recall(found: Explained, path: Path) -> Path:
    """Panels: recall by level, the right branch, windows; a PNG file."""
    from matplotlib.figure import Figure

    from hicm.report.figures import LIGHT, save, style

    panels = [_levels, *([_branches] if found.branches else []), _fits]
    figure = Figure(figsize=(3.7 * len(panels), 3.9), layout="constrained", facecolor=LIGHT.paper)
    for axes, draw in zip(figure.subplots(1, len(panels)), panels, strict=True):
        style(axes, LIGHT)
        draw(axes, found, LIGHT)
        _legend(axes, LIGHT, -0.16)
    save(figure, path, f"{found.run}, split {found.split}: recall")
    return path


def draw_taken(found: Explained, path: Path) -> Path:
    """Panels: attention by layer, and for a captioner that copies, how much and from which sentences; a PNG file."""
    from matplotlib.figure import Figure

    from hicm.report.figures import LIGHT, save, style

    copying, own = found.taken.copying, found.taken
    height = 1.6 + 0.22 * len(own.attention)
    figure = Figure(figsize=(10.2 if copying else 4.6, max(height, 3.0)), layout="constrained", facecolor=LIGHT.paper)
    panels = figure.subplots(1, 3 if copying else 1, squeeze=False)[0]
    style(panels[0], LIGHT, grid="x")
    _attention(panels[0], own, LIGHT)
    if copying:
        for axes, draw in zip(panels[1:], (_copied, _ranks), strict=True):
            style(axes, LIGHT)
            draw(axes, copying, LIGHT)
    save(figure, path, f"{found.run}, split {found.split}: what the captioner takes")
    return path


def _title(axes: Any, text: str, theme: Any) -> None:
    axes.set_title(text, fontsize=9, color=theme.ink, loc="left")


def _legend(axes: Any, theme: Any, below: float) -> None:
    axes.legend(fontsize=7, frameon=False, labelcolor=theme.ink, loc="upper left", bbox_to_anchor=(-0.05, below),
                ncols=2, columnspacing=1)


def _by_level(axes: Any, found: Explained) -> list[int]:
    """The levels in the order of the axis."""
    order = list(found.nodes)
    axes.set_xticks(range(len(order)), [level_name(level).removeprefix("level ") for level in order])
    axes.set_xlabel("level of the tree, coarse to fine")
    return order


def _levels(axes: Any, found: Explained, theme: Any) -> None:
    """Means with the range from 10 to 90 %."""
    order = _by_level(axes, found)
    for place, source in enumerate(SOURCES):
        own = [one for one in found.levels if one.source == source]
        at = [order.index(one.level) + 0.09 * (place - 2) for one in own]
        colour = theme.run(place) if source != RANDOM else theme.reference
        axes.vlines(at, [one.quantiles[0] for one in own], [one.quantiles[-1] for one in own], color=colour,
                    linewidth=1)
        axes.plot(at, [one.mean for one in own], color=colour, marker="o", markersize=4, linewidth=1.2, label=source)
    _title(axes, "cosine with the annotated caption", theme)


def _branches(axes: Any, found: Explained, theme: Any) -> None:
    order, kept = _by_level(axes, found), found.branches
    names = {BEST: "best of the level", OWN: "the run", DESCEND: "beam {}"}
    for place, (way, count) in enumerate(dict.fromkeys((one.way, one.count) for one in kept if one.way != FLAT)):
        own = sorted((order.index(one.level), 100 * one.kept) for one in kept if (one.way, one.count) == (way, count))
        axes.plot(*zip(*own, strict=True), color=theme.reference if way == BEST else theme.run(place - 1), marker="o",
                  markersize=4, linewidth=2.6 if way == OWN else 1.2, label=names[way].format(count))
    flat = [one for one in kept if one.way == FLAT]
    axes.scatter([order.index(one.level) for one in flat], [100 * one.kept for one in flat], color=theme.ink,
                 marker="_", s=60, zorder=3, label="flat, so many captions")
    for one in flat:
        axes.text(order.index(one.level) + 0.18, 100 * one.kept, str(one.count), color=theme.ink, fontsize=6,
                  va="center")
    axes.set_ylim(0, 103)
    _title(axes, "right branch still kept, % of events", theme)


def _fits(axes: Any, found: Explained, theme: Any) -> None:
    """The cosine of what is read, by overlap."""
    for place, shape in enumerate(dict.fromkeys(one.shape for one in found.fits)):
        own = [one for one in found.fits if one.shape == shape and (shape == EVENT or not one.whole)]
        for name, dash in (("first", "-"), ("nearest", ":")):
            near = [(one.low + one.high) / 2 for one in own], [getattr(one, name) for one in own]
            if shape == EVENT and own[0].first is not None:
                axes.axhline(near[1][0], color=theme.reference, linewidth=1, linestyle=dash, label=f"{shape}: {name}")
            elif shape != EVENT:
                axes.plot(*near, color=theme.run(place), marker="o", markersize=4, linestyle=dash, linewidth=1.4,
                          label=f"{shape}: {name}")
    axes.set_xlim(0, 1)
    axes.set_xlabel("overlap of window and event (IoU)")
    _title(axes, "cosine of what is read", theme)


def _attention(axes: Any, found: Taken, theme: Any) -> None:
    rows = found.attention
    lefts = [0.0] * len(rows)
    for place, group in enumerate(rows[0].shares):
        shares = [100 * one.shares[group] for one in rows]
        axes.barh(range(len(rows)), shares, left=lefts, color=theme.run(place), height=0.7, label=group)
        lefts = [left + share for left, share in zip(lefts, shares, strict=True)]
    axes.set_yticks(range(len(rows)), [f"{layer_name(one.layer)}, {one.position}" for one in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    _legend(axes, theme, -0.1)
    _title(axes, "cross-attention by layer, %", theme)


def _copied(axes: Any, one: Copying, theme: Any) -> None:
    axes.bar(CHANCES[:-1], [100 * share for share in one.histogram], width=0.09, align="edge", color=theme.run(0))
    axes.set_xlabel("probability that a piece was copied")
    _title(axes, "word pieces, %", theme)


def _ranks(axes: Any, one: Copying, theme: Any) -> None:
    for aside, shares, colour, label in ((-0.2, one.ranks, theme.run(0), "copied"),
                                         (0.2, one.even, theme.line, "even")):
        axes.bar([place + aside for place in range(len(shares))], [100 * share for share in shares], width=0.38,
                 color=colour, label=label)
    axes.set_xticks(range(len(one.ranks)), [name.replace(" or later", "+") for name in rank_names(len(one.ranks))])
    axes.set_xlabel("sentence of the event, by cosine")
    axes.legend(fontsize=7, frameon=False, labelcolor=theme.ink)
    _title(axes, "copied from, %", theme)
