"""Two pictures: what is recalled, and what the captioner takes of it."""

from pathlib import Path
from typing import Any

from hicm.recipes.explain import levels
from hicm.recipes.explain.branches import BEST, DESCEND, FLAT, OWN
from hicm.recipes.explain.recall import EVENT
from hicm.recipes.explain.run import Explained
from hicm.recipes.explain.tables import layer_name, level_name, rank_names
from hicm.recipes.explain.taken import Copying, Taken, chances


def draw_recall(found: Explained, path: Path) -> Path:
    """Panels: recall by level, the right branch, windows; a PNG file."""
    from matplotlib.figure import Figure

    from hicm.report.figures import LIGHT, save, style

    panels = [_levels, *([_branches] if found.branches else []), _fits]
    figure = Figure(figsize=(3.7 * len(panels), 3.7), layout="constrained", facecolor=LIGHT.paper)
    for axes, draw in zip(figure.subplots(1, len(panels)), panels, strict=True):
        style(axes, LIGHT)
        draw(axes, found, LIGHT)
        axes.legend(fontsize=7, frameon=False, labelcolor=LIGHT.ink, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
    save(figure, path, f"{found.run}, split {found.split}: recall")
    return path


def draw_taken(found: Explained, path: Path) -> Path:
    """Panels: attention by layer, and for a captioner that copies, how much and from which sentences; a PNG file."""
    from matplotlib.figure import Figure

    from hicm.report.figures import LIGHT, save, style

    copying = found.taken.copying
    figure = Figure(figsize=(8.4 if copying else 4.2, 3.1), layout="constrained", facecolor=LIGHT.paper)
    panels = figure.subplots(1, 3 if copying else 1, squeeze=False)[0]
    style(panels[0], LIGHT, grid="x")
    _attention(panels[0], found.taken, LIGHT)
    if copying:
        for axes in panels[1:]:
            style(axes, LIGHT)
        _copied(panels[1], copying, LIGHT)
        _ranks(panels[2], copying, LIGHT)
    save(figure, path, f"{found.run}, split {found.split}: what the captioner takes")
    return path


def _title(axes: Any, text: str, theme: Any) -> None:
    axes.set_title(text, fontsize=9, color=theme.ink, loc="left")


def _by_level(axes: Any, found: Explained) -> list[int]:
    order = list(found.nodes)
    axes.set_xticks(range(len(order)), [level_name(level).replace("level ", "") for level in order])
    axes.set_xlabel("level of the tree, coarse to fine")
    return order


def _levels(axes: Any, found: Explained, theme: Any) -> None:
    """Means with the range from 10 to 90 %."""
    order = _by_level(axes, found)
    for place, source in enumerate(levels.SOURCES):
        own = [one for one in found.levels if one.source == source]
        at = [order.index(one.level) + 0.09 * (place - 2) for one in own]
        colour = theme.run(place - 1) if source != levels.RANDOM else theme.reference
        axes.vlines(at, [one.quantiles[0] for one in own], [one.quantiles[-1] for one in own], color=colour, linewidth=1)
        axes.plot(at, [one.mean for one in own], color=colour, marker="o", markersize=4, linewidth=1.2, label=source)
    _title(axes, "cosine with the annotated caption", theme)


def _branches(axes: Any, found: Explained, theme: Any) -> None:
    order = _by_level(axes, found)
    names = {BEST: "best node", OWN: "the run", DESCEND: "beam {}"}
    ways = list(dict.fromkeys((one.way, one.count) for one in found.branches if one.way != FLAT))
    for place, (way, count) in enumerate(ways):
        own = sorted((order.index(one.level), 100 * one.kept) for one in found.branches if (one.way, one.count) == (way, count))
        axes.plot(*zip(*own, strict=True), color=theme.reference if way == BEST else theme.run(place - 1), marker="o",
                  markersize=4, linewidth=2.4 if way == OWN else 1.2, label=names[way].format(count))
    flat = [one for one in found.branches if one.way == FLAT]
    axes.scatter([order.index(one.level) for one in flat], [100 * one.kept for one in flat], color=theme.ink, marker="_", s=60,
                 zorder=3, label="flat: " + ", ".join(str(one.count) for one in flat))
    axes.set_ylim(0, 103)
    _title(axes, "right branch still kept, % of events", theme)


def _fits(axes: Any, found: Explained, theme: Any) -> None:
    """The cosine of what is read, by overlap."""
    for place, shape in enumerate(dict.fromkeys(one.shape for one in found.fits)):
        own = [one for one in found.fits if one.shape == shape]
        colour = theme.reference if shape == EVENT else theme.run(place)
        if shape == EVENT:
            for value, dash in ((own[0].first, "-"), (own[0].nearest, ":")):
                if value is not None:
                    axes.axhline(value, color=colour, linewidth=1, linestyle=dash, label="event: " + (
                        "first" if dash == "-" else "nearest"))
            continue
        bins = [one for one in own if one.high - one.low < 1]
        for name, dash in (("first", "-"), ("nearest", ":")):
            axes.plot([(one.low + one.high) / 2 for one in bins], [getattr(one, name) for one in bins], color=colour, marker="o",
                      markersize=4, linestyle=dash, linewidth=1.4, label=f"{shape}: {name}")
    axes.set_xlim(0, 1)
    axes.set_xlabel("overlap of window and event (IoU)")
    _title(axes, "cosine of what is read", theme)


def _attention(axes: Any, found: Taken, theme: Any) -> None:
    rows = list(found.attention)
    lefts = [0.0] * len(rows)
    for place, group in enumerate(rows[0].shares):
        shares = [100 * one.shares[group] for one in rows]
        axes.barh(range(len(rows)), shares, left=lefts, color=theme.run(place), height=0.7, label=group)
        lefts = [left + share for left, share in zip(lefts, shares, strict=True)]
    axes.set_yticks(range(len(rows)), [f"{layer_name(one.layer)}, {one.position}" for one in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.legend(fontsize=7, frameon=False, labelcolor=theme.ink, loc="upper left", bbox_to_anchor=(0, -0.12), ncols=2)
    _title(axes, "cross-attention by layer, %", theme)


def _copied(axes: Any, one: Copying, theme: Any) -> None:
    low = [low for low, _ in chances()]
    axes.bar(low, [100 * share for share in one.histogram], width=0.09, align="edge", color=theme.run(0))
    axes.set_xlabel("probability that a piece was copied")
    _title(axes, "word pieces, %", theme)


def _ranks(axes: Any, one: Copying, theme: Any) -> None:
    places = range(len(one.ranks))
    axes.bar([place - 0.2 for place in places], [100 * share for share in one.ranks], width=0.38, color=theme.run(0),
             label="copied")
    axes.bar([place + 0.2 for place in places], [100 * share for share in one.even], width=0.38, color=theme.line, label="even")
    axes.set_xticks(places, [name.replace(" or later", "+") for name in rank_names(len(one.ranks))])
    axes.set_xlabel("sentence of the event, by cosine")
    axes.legend(fontsize=7, frameon=False, labelcolor=theme.ink)
    _title(axes, "copied from, %", theme)
