"""The table and the picture of a grid: scores with intervals over videos, and tested differences to the first cell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hicm.dvc_eval.results.score import Result
from hicm.errors import UserError
from hicm.evaluation.significance import Comparison, Versus, compare
from hicm.files import write_json, write_text
from hicm.recipes.ablation.grid import Cell


def write_table(results: Mapping[Cell, Result], out: Path, metrics: Sequence[str], samples: int, seed: int,
                what: str) -> Path:
    """Write ``ablation.md``, ``ablation.json`` and ``ablation.png`` to ``out``; returns the path of the first.

    ``what`` names the captioner in the title.  Raises UserError when a metric could not be computed.
    """
    for cell, result in results.items():
        for metric in metrics:
            if metric not in result.scores:
                raise UserError(f"ablation: {cell.name}: {metric} was not computed "
                                f"({result.left_out.get(metric, 'not a metric of this protocol')})")
    comparison = compare({cell.name: result for cell, result in results.items()}, list(metrics), samples=samples,
                         seed=seed) if len(results) > 1 else None
    write_json(out / "ablation.json", [_entry(cell, result, metrics, comparison) for cell, result in results.items()])
    write_text(out / "ablation.md", _markdown(results, metrics, comparison, samples, what))
    draw_grid(results, metrics, out / "ablation.png")
    return out / "ablation.md"


def _entry(cell: Cell, result: Result, metrics: Sequence[str], comparison: Comparison | None) -> dict[str, Any]:
    scores = {}
    for metric in metrics:
        interval, versus = result.intervals.get(metric), _versus(comparison, metric, cell)
        scores[metric] = {"score": result.scores[metric],
                          **({"low": interval.low, "high": interval.high} if interval else {}),
                          **({} if versus is None else {"difference": versus.difference, "p": _p(versus)}),
                          **({} if versus is None or versus.interval is None else
                             {"low_difference": versus.interval.low, "high_difference": versus.interval.high})}
    return {"cell": cell.name, "search": cell.search, "summariser": cell.summariser, "levels": list(cell.levels),
            "signature": result.signature, "videos": len(result.videos), "scores": scores}


def _versus(comparison: Comparison | None, metric: str, cell: Cell) -> Versus | None:
    if comparison is None or cell.name == comparison.systems[0]:
        return None
    return comparison.row(metric, cell.name)


def _p(versus: Versus) -> float | None:
    return versus.randomisation_p if versus.randomisation_p_holm is None else versus.randomisation_p_holm


def _shown(p: float | None) -> str:
    return "n/a: too few videos" if p is None else f"{p:.3f}"


def _markdown(results: Mapping[Cell, Result], metrics: Sequence[str], comparison: Comparison | None, samples: int,
              what: str) -> str:
    first = next(iter(results))
    head = ["search", "summaries", "levels", *(f"{metric}{extra}" for metric in metrics
                                               for extra in ("", f" - {first.name}"))]
    lines = [f"# Ablation of the memory: {what}", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for cell, result in results.items():
        levels = ", ".join(map(str, cell.levels)) or ("all" if cell.summariser else "")
        cells = [cell.search, cell.summariser, levels]
        for metric in metrics:
            interval, versus = result.intervals.get(metric), _versus(comparison, metric, cell)
            spread = f" [{100 * interval.low:.2f}, {100 * interval.high:.2f}]" if interval else ""
            cells += [f"{100 * result.scores[metric]:.2f}{spread}",
                      "" if versus is None else f"{100 * versus.difference:+.2f} (p {_shown(_p(versus))})"]
        lines.append("| " + " | ".join(cells) + " |")
    result = results[first]
    lines += ["", f"Scores x 100 with 95 % intervals over {len(result.videos):,} videos ({samples:,} bootstrap "
              f"samples). Differences to `{first.name}` with p-values of paired randomisation tests, Holm-corrected "
              "over the cells of a column. The intervals resample videos, not trainings, so they do not include the "
              "variation between seeds.",
              "", f"Signature of the first row: `{result.signature}`"]
    return "\n".join(lines) + "\n"


def draw_grid(results: Mapping[Cell, Result], metrics: Sequence[str], path: Path) -> None:
    """One panel per metric, one row per cell: the score with its interval, coloured by summariser."""
    from matplotlib.figure import Figure

    from hicm.report.figures import LIGHT, legend, save, style

    cells = list(results)
    colours = {name: LIGHT.runs[place % len(LIGHT.runs)] for place, name in
               enumerate(dict.fromkeys(cell.summariser for cell in cells if cell.summariser))}
    figure = Figure(figsize=(2.4 + 3.1 * len(metrics), 1.3 + 0.3 * len(cells)), layout="constrained",
                    facecolor=LIGHT.paper)
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        style(axes, LIGHT, grid="both")
        for place, cell in enumerate(cells):
            score, interval = 100 * results[cell].scores[metric], results[cell].intervals.get(metric)
            colour = colours.get(cell.summariser, LIGHT.reference)
            if interval:
                axes.plot([100 * interval.low, 100 * interval.high], [place, place], color=colour, linewidth=1.6)
            axes.plot(score, place, "o", color=colour, markersize=5, label=cell.summariser or None)
        axes.set_title(metric, loc="left", parse_math=False, color=LIGHT.ink, fontsize=9.5, fontweight="bold")
        axes.set_xlabel("score × 100, 95 % interval over videos")
    panels[0].set_yticks(range(len(cells)), [_label(cell) for cell in cells], fontsize=8, color=LIGHT.ink)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    first = dict(zip(labels, handles, strict=True))
    if first:
        legend(figure, first, LIGHT, columns=len(first))
    save(figure, path, "ablation of the memory")


def _label(cell: Cell) -> str:
    if not cell.summariser:
        return cell.search
    levels = ", ".join(map(str, cell.levels))
    return f"{cell.search}, " + (f"level{'s' if len(cell.levels) > 1 else ''} {levels}" if levels else "all levels")
