"""Dense captions as moments: each sentence of a video becomes a query, its events the query's moments."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hicm.data.queries import is_durations, is_moments
from hicm.data.text import mend
from hicm.dvc_eval.inputs.read import Track, read_events
from hicm.errors import UserError, printable
from hicm.files import json_text, require, sha256, write_text
from hicm.moments.cleaning import Cleaning
from hicm.outputs import output_file
from hicm.stages.new_files import refuse_other_content

NO_TEXT = "events without text left out"


def write_moments(files: Sequence[str], out: str, overwrite: bool = False) -> str:
    """Write the queries of dense captions to ``out`` as json lines in the form of QVHighlights; returns what to print.

    ``files``: annotations in any form that is scored, with durations; several annotate the same videos, and the
    queries of all are written.  A sentence that a file has several times in one video is one query with several
    windows, in order of time.  Events without text are left out, times are cleaned (`hicm.moments.cleaning`).
    ``qid`` counts the queries of all files from 1.  What was read is written beside it, to ``<out>.about.json``.

    Raises UserError when a file cannot be read, names a video without duration, or has no query, and when ``out`` is
    an input, or holds something else (unless ``overwrite``).
    """
    path = output_file(out)
    about = path.with_name(f"{path.name}.about.json")
    rows: list[dict[str, Any]] = []
    counts = Counter[str]()
    noted: list[str] = []
    for file in files:
        require(file, "annotation file", "give an annotation file of dense captions")
        if is_moments(file) or is_durations(file):
            raise UserError(f"{file}: holds no dense captions but moments, which need no conversion; 'hicm train' and "
                            "'hicm evaluate' read it as it is")
        if path.exists() and path.samefile(file):
            raise UserError(f"{path}: is an input, which would be lost; choose another --out")
        own = list(_queries(file, counts, noted))
        if not own:
            raise UserError(f"{file}: no sentence with a moment inside its video; is it the right file?")
        rows += own
    text = "".join(f"{json.dumps({'qid': number} | row, ensure_ascii=False)}\n"
                   for number, row in enumerate(rows, start=1))
    counted = {"videos": len({row["vid"] for row in rows}), "queries": len(rows),
               "windows": sum(len(row["relevant_windows"]) for row in rows), **counts}
    origin = json_text({"made_by": "hicm data to-moments", "counts": counted,
                        "inputs": [{"file": Path(file).name, "sha256": sha256(Path(file))} for file in files]}) + "\n"
    refuse_other_content({path: text, about: origin}, overwrite)
    write_text(about, origin)
    write_text(path, text)
    lines = [*dict.fromkeys(noted), *(f"{count:>9,} {what}" for what, count in counted.items()), str(path)]
    return "\n".join(map(printable, lines))


def _queries(file: str, counts: Counter[str], noted: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of one file, without ids."""
    cleaning = Cleaning()
    for video, track in read_events(file, (), lambda _: None, noted, "", "references").items():
        duration = track.duration
        if duration is None or duration <= 0:
            raise UserError(f"{file}: video {video}: no duration, so nothing is known of its end; add it ('hicm data "
                            "from-csv' and its relatives take --durations)")
        for sentence, windows in _moments(track, duration, cleaning, counts).items():
            yield {"query": sentence, "vid": video, "duration": duration, "relevant_windows": windows}
    counts.update({_events(what): count for what, count in cleaning.counts.items()})


def _moments(track: Track, duration: float, cleaning: Cleaning,
             counts: Counter[str]) -> dict[str, list[list[float]]]:
    """The sentences of a video in their order, each with its different windows."""
    found: dict[str, list[list[float]]] = {}
    for (start, end), caption in zip(np.asarray(track.spans).tolist(), track.captions, strict=True):
        sentence = mend(caption).strip()
        if not sentence:
            counts[NO_TEXT] += 1
            continue
        span = cleaning.clean(start, end, duration)
        if span is None:
            continue
        windows = found.setdefault(sentence, [])
        if list(span) in windows:
            counts["events that occur twice"] += 1
        else:
            windows.append(list(span))
    return {sentence: sorted(windows) for sentence, windows in found.items()}


def _events(rule: str) -> str:
    """A cleaning rule as it is counted here, where what is skipped is one event of perhaps several of a query."""
    return rule.replace("queries skipped", "events left out")
