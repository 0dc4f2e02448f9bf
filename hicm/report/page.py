"""The report: from run folders to one self-contained page and its pictures."""

import base64
import hashlib
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure
from tqdm import tqdm

from hicm import __version__
from hicm.data.annotations import split_files
from hicm.errors import UserError
from hicm.files import atomic
from hicm.provenance import now
from hicm.report import facts
from hicm.report.curves import panels
from hicm.report.figures import DARK, LIGHT, Theme, metrics_figure, panel_figure, panels_figure, save, timeline_figure
from hicm.report.runs import Run, is_number, read_references, read_runs, recalled_by
from hicm.report.score_tables import comparable, left_out, metric_label, score_rows
from hicm.report.timeline import clock, make_track, spread
from hicm.types import Video
from hicm.viewer.content import Lane, View
from hicm.viewer.page import policy, script, styles, viewer

RANKED_BY = ("soda_c", "CIDEr", "METEOR", "soda_d")  # the first metric in which videos differ ranks them


@dataclass(frozen=True)
class ShownVideo:
    """One video as shown on the page; ``element`` becomes its viewer."""

    id: str
    role: str
    scores: list[tuple[int, str]]  # index of the run, score times 100 as printed
    element: str
    picture: str
    notes: list[str]  # on what was recalled


def report(runs: Sequence[Path], out: Path, videos: int = 10, split: str = "") -> Path:
    """Write ``index.html``, ``curves.png``, ``metrics.png`` and ``timeline_<id>.png`` to ``out``; return the page.

    ``runs``: run folders, the baseline first.  ``videos``: how many to show, spread evenly from best to worst.
    ``split``: empty for data.report of the first run.  Reads only the run folders, the memory bank and the reference
    annotations; the page notes what is missing.  Raises UserError if a folder is not a run, if its settings have no
    such split, or if ``out`` cannot be written.
    """
    if videos < 0:
        raise UserError(f"report: videos={videos}; expected 0 or more")
    asked = split
    found, split = read_runs([Path(run) for run in runs], split)
    if asked:
        split_files(found[0].config.data, asked)  # refuses an unknown one
    out, about = Path(out), "runs " + ", ".join(run.id for run in found)
    annotators, notes = read_references(found[0].config, split)
    if any(run.config.data.annotations.get(split) != found[0].config.data.annotations.get(split) for run in found):
        notes.append(f"The runs name different references for split {split}; those of {found[0].label} are shown.")
    notes += [f"{run.label}: {note}" for run in found for note in run.notes]

    main, single = score_rows(*([run.metrics.get(kind) or {} for run in found] for kind in ("scores", "intervals")))
    labels = [run.label for run in found]
    drawn = panels(found)
    curves = [(panel.title, _both(partial(panel_figure, panel), about)) for panel in drawn]
    if drawn:
        save(panels_figure(drawn, LIGHT), out / "curves.png", about)
    metrics = _both(partial(metrics_figure, main, labels), about, out / "metrics.png") if main else None

    ranking, order = rank_videos(found, list(annotators[0]) if annotators else [])
    views = [_shown(video, role, found, annotators, ranking, out, about)
             for video, role in tqdm(_roles(order, videos, bool(ranking)), desc="report", unit="video")]
    how, same = facts.selection(found, split)
    signatures = [str(run.metrics.get("signature", "")) for run in found if run.metrics]
    return _write(out / "index.html", {
        "name": found[0].config.data.name, "split": split, "date": now(), "version": __version__, "runs": found,
        "what": facts.what(found), "facts": facts.run_facts(found), "selection": how, "same_split": same,
        "notes": notes,
        "main": main, "single": single, "left_out": left_out(found), "coverage": facts.coverage_lines(found),
        "signatures": signatures, "comparable": comparable(signatures),
        "intervals": any(cell.interval for row in main for cell in row.cells), "metrics_picture": metrics,
        "curves": curves,
        "ranking": ranking and metric_label(ranking[0]), "ranking_run": ranking and ranking[1], "total": len(order),
        "views": views, "recalled": any(run.retrieved is not None and run.memory is not None for run in found),
        "quoted": any(run.retrieved is None and run.memory is not None for run in found)})


def rank_videos(runs: Sequence[Run], references: Sequence[str]) -> tuple[tuple[str, str] | None, dict[str, float]]:
    """The (metric, run label) that ranks the videos, and their scores; None and file order if there are no scores.

    The ranking comes from the last run with scores, by the first metric of RANKED_BY in which its videos differ.
    """
    for run in reversed(runs):
        by_video = run.metrics.get("per_video") or {}
        for name in RANKED_BY:
            scores = {video: values[name] for video, values in by_video.items() if is_number(values.get(name))}
            if len(set(scores.values())) > 1:
                return (name, run.label), scores
    known = list(references) or list(dict.fromkeys(video for run in runs for video in run.predictions))
    return None, dict.fromkeys(known, 0.0)


def _roles(scores: dict[str, float], count: int, ranked: bool) -> list[tuple[str, str]]:
    """The videos to show, each with its rank in words."""
    if not ranked:
        return [(video, "") for video in list(scores)[:count]]
    total = len(scores)
    names = {1: "best", total: "worst", (total - 1) // 2 + 1: "median"} if total > 2 else {}
    return [(video, f"{names[rank]}, rank {rank} of {total}" if rank in names else f"rank {rank} of {total}")
            for video, rank in spread(scores, count)] if count else []


def _shown(video: str, role: str, runs: Sequence[Run], annotators: list[dict[str, Video]],
           ranking: tuple[str, str] | None, out: Path, about: str) -> ShownVideo:
    annotated = [videos[video] for videos in annotators if video in videos]
    ends = [event.span.end for run in runs for event in run.predictions.get(video, [])]
    duration = annotated[0].duration if annotated else max([1.0, *ends])
    recalls = [recalled_by(run, video, duration) for run in runs]
    lanes = [Lane("reference" if len(annotated) == 1 else f"reference {number}", "reference", reference.events)
             for number, reference in enumerate(annotated, start=1)]
    lanes += [Lane(run.label, "prediction", tuple(run.predictions.get(video, ())), tuple(recalled))  # a colour each
              for run, (recalled, _) in zip(runs, recalls, strict=True)]
    scores = []
    for place, run in enumerate(runs):
        value = (run.metrics.get("per_video") or {}).get(video, {}).get(ranking[0]) if ranking else None
        scores += [(place, f"{100 * value:.1f}")] if is_number(value) else []
    view = View(video, duration, tuple(lanes), made_by={run.label: {"run": run.id} for run in runs})
    return ShownVideo(video, role, scores, viewer(view.to_json(), "h3"), _picture(video, view, out, about),
                 [f"Recalled by {run.label}: {note}." for run, (_, note) in zip(runs, recalls, strict=True) if note])


def _picture(video: str, view: View, out: Path, about: str) -> str:
    """The lanes as a picture, in a file of its own, too."""
    runs = itertools.count()
    tracks = [make_track(lane.name, lane.events, view.duration, -1 if lane.kind == "reference" else next(runs))
              for lane in view.lanes]
    figure = timeline_figure(f"{video}, {clock(view.duration)}", tracks, view.duration, LIGHT)
    return _embed(save(figure, out / f"timeline_{_file_name(video)}.png", about))


def _both(draw: Callable[[Theme], Figure], about: str, path: Path | None = None) -> dict[str, str]:
    """A figure embedded for the light and the dark page; the light one is also written to ``path``."""
    return {"light": _embed(save(draw(LIGHT), path, about)), "dark": _embed(save(draw(DARK), None, about))}


def _embed(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _file_name(video: str) -> str:
    """The id as part of a file name: unchanged if possible, else its safe characters and a hash."""
    plain = re.sub(r"[^\w.-]", "_", video)[:80]
    return plain if plain == video else f"{plain}_{hashlib.sha256(video.encode()).hexdigest()[:6]}"


def _write(path: Path, content: dict[str, Any]) -> Path:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = environment.get_template("page.css").render(light=LIGHT, dark=DARK) + styles()
    page = environment.get_template("page.html").render(
        content | {"style": style, "script": script(), "policy": policy(style, script())})
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path
