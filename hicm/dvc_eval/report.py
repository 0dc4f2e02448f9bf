"""What the command line prints and writes of results: text, json, Markdown or LaTeX, tables per video."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hicm.dvc_eval import tables
from hicm.dvc_eval.protocols import PROTOCOLS, Protocol
from hicm.dvc_eval.score import Result
from hicm.errors import UserError
from hicm.files import read_json, write_json, write_text

Style = Literal["text", "json", "markdown", "latex"]


@dataclass(frozen=True)
class Scores:
    """Results of one file under one or several protocols; prints itself in a style."""

    results: tuple[Result, ...]
    style: Style = "text"
    explanation: str = ""

    def __str__(self) -> str:
        if self.style == "json":
            contents = [result.to_json() for result in self.results]
            return to_text(contents[0] if len(contents) == 1 else contents)
        if self.style == "text":
            return "\n\n".join([*map(str, self.results), *([self.explanation] if self.explanation else [])])
        table = tables.result_table(self.results, 2, [result.protocol for result in self.results])
        write = tables.markdown if self.style == "markdown" else tables.latex
        return write(*table, notes=[result.signature for result in self.results])


def choose_style(json_: bool, markdown: bool, latex: bool) -> Style:
    """The wanted style; UserError for more than one."""
    wanted = [name for name, on in (("json", json_), ("markdown", markdown), ("latex", latex)) if on]
    if len(wanted) > 1:
        raise UserError(f"--{wanted[0]} and --{wanted[1]} are both given; choose one")
    return wanted[0] if wanted else "text"


def split_files(files: Sequence[str]) -> tuple[list[str], list[str]]:
    """Predictions (or folders) and the annotation files behind them, told apart by what they hold."""
    systems, references = [], []
    for name in files:
        if Path(name).is_dir() or "results" in read_json(name, "file"):
            if references:
                raise UserError(f"{name}: predictions after the annotations {references[0]}; name predictions first, "
                                "then annotations")
            systems.append(name)
        else:
            references.append(name)
    if len(systems) < 2:
        raise UserError(f"{len(systems)} predictions files among {', '.join(files)}; name at least two, each with the "
                        "key 'results', then the annotations")
    return systems, references


def to_text(content: Any) -> str:
    """As json."""
    return json.dumps(content, indent=1, ensure_ascii=False)


def write_metrics(results: Sequence[Result], path: Path) -> None:
    """Scores as json: the first protocol's at ``path``, every other's beside it, its name before the ending."""
    for result, own in zip(results, paths(results, path), strict=True):
        write_json(own, result.to_json())


def write_videos(results: Sequence[Result], path: Path) -> None:
    """The table per video as csv, or as json where the name ends so: one protocol at a time, as `write_metrics`."""
    for result, own in zip(results, paths(results, path), strict=True):
        if own.suffix == ".json":
            write_json(own, result.per_video_thresholds | {"signature": result.signature})
        elif own.suffix == ".csv":
            write_text(own, result.to_csv())
        else:
            raise UserError(f"{own}: the table per video is written as .csv or .json; change the ending")


def paths(results: Sequence[Result], path: Path) -> list[Path]:
    """``path`` for the first protocol; for the others beside it, by name, numbered where a name comes again."""
    names = [result.protocol for result in results]
    again = ["" if name not in names[:at] else f"-{names[:at].count(name) + 1}" for at, name in enumerate(names)]
    return [path, *(path.with_name(f"{path.stem}.{name}{number}{path.suffix}")
                    for name, number in list(zip(names, again, strict=True))[1:])]


def protocol_table() -> str:
    """All protocols and their rules, in Markdown, a row a rule."""
    protocols = list(PROTOCOLS.values())
    rules = [name for name in Protocol.__dataclass_fields__ if name != "name"]
    rows = [[f"`{rule}`", *(_cell(getattr(protocol, rule)) for protocol in protocols)] for rule in rules]
    return tables.markdown(["rule", *(f"`{protocol.name}`" for protocol in protocols)], rows)


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value) or "–"
    return {True: "yes", False: "–"}.get(value, str(value)) if isinstance(value, bool) else str(value)
