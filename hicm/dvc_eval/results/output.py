"""What the command line prints and writes of results: text, json, Markdown or LaTeX, tables per video."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hicm.dvc_eval.inputs.protocols import PROTOCOLS, Protocol
from hicm.dvc_eval.results import tables
from hicm.dvc_eval.results.score import Result
from hicm.errors import UserError
from hicm.files import read_json, write_json, write_text

Style = Literal["text", "json", "markdown", "latex"]


@dataclass(frozen=True)
class Scores:
    """Results of one file under one or several protocols; prints itself in a style."""

    results: tuple[Result, ...]
    style: Style = "text"
    explanation: str = ""
    asked: tuple[str, ...] = ()  # metrics that were asked for by name

    @property
    def ok(self) -> bool:
        """Whether all metrics that were asked for by name could be computed."""
        return not any(set(self.asked) & set(result.left_out) for result in self.results)

    def __str__(self) -> str:
        if self.style == "json":
            contents = [result.to_json() for result in self.results]
            return to_text(contents[0] if len(contents) == 1 else contents)
        if self.style == "text":
            return "\n\n".join([*map(str, self.results), *([self.explanation] if self.explanation else [])])
        write = tables.markdown if self.style == "markdown" else tables.latex
        return write(*tables.result_table(self.results, 2, names_of(self.results)),
                     notes=[result.signature for result in self.results])


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
        content = {"results": {}} if Path(name).is_dir() else read_json(name, "file")
        if not isinstance(content, Mapping):
            raise UserError(f"{name}: expected predictions or annotations, a json object")
        if "results" in content:
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
    """The table per video as csv, or as json where the name ends so: one protocol at a time, as `write_metrics`.

    Raises UserError for another ending.
    """
    check_ending(str(path))
    for result, own in zip(results, paths(results, path), strict=True):
        if own.suffix == ".json":
            write_json(own, result.per_video_thresholds | {"signature": result.signature})
        else:
            write_text(own, result.to_csv())


def paths(results: Sequence[Result], path: Path) -> list[Path]:
    """``path`` for the first protocol; for the others beside it, by name."""
    return [path, *(path.with_name(f"{path.stem}.{name}{path.suffix}") for name in names_of(results)[1:])]


def names_of(results: Sequence[Result]) -> list[str]:
    """The protocols, numbered where a name comes again: as signatures they may differ in their rules."""
    names = [result.protocol for result in results]
    return [name if name not in names[:at] else f"{name}-{names[:at].count(name) + 1}"
            for at, name in enumerate(names)]


def caveats(results: Sequence[Result]) -> str:
    """What a table does not say: coverage, what was left out, warnings."""
    return "\n".join(f"{name}: {line}" for name, result in zip(names_of(results), results, strict=True)
                     for line in tables.caveats(result))


def system_warnings(systems: Mapping[str, Result]) -> list[str]:
    """Coverage that is not whole, what was left out, and warnings of compared systems; what all share stands once."""
    lines = {}
    for name, result in systems.items():
        whole = not result.left_out and not any(result.coverage[kind] for kind in ("missing", "empty", "unknown"))
        lines[name] = [*([] if whole else tables.coverage_lines(result)), *result.warnings]
    shared = [line for line in next(iter(lines.values())) if all(line in told for told in lines.values())]
    return shared + [f"{name}: {line}" for name, own in lines.items() for line in own if line not in shared]


def check_ending(path: str) -> None:
    """UserError for a table per video that is neither .csv nor .json."""
    if path and Path(path).suffix not in (".csv", ".json"):
        raise UserError(f"{path}: the table per video is written as .csv or .json; change the ending")


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
