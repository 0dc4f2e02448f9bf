"""What the command line prints and writes: results as text, json, Markdown or LaTeX, and tables per item."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol

from hicm.errors import UserError
from hicm.evaluation import tables
from hicm.evaluation.significance import Comparison
from hicm.files import write_json, write_text

Style = Literal["text", "json", "markdown", "latex"]


class Printable(Protocol):
    """What is printed of a result, such as `hicm.dvc_eval.Result`.

    ``item``: what a row of its table is about; ``rows``: that table, plain data by item.  ``text``: the result without
    ``notes``; ``tabulate``: headings and rows of several results; ``caveats``: coverage, what was left out, warnings;
    ``gaps``: the lines of these about incomplete coverage, if it is.
    """

    @property
    def protocol(self) -> str: ...
    @property
    def item(self) -> str: ...
    @property
    def signature(self) -> str: ...
    @property
    def scores(self) -> Mapping[str, float]: ...
    @property
    def left_out(self) -> Mapping[str, str]: ...
    @property
    def warnings(self) -> Sequence[str]: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def rows(self) -> Mapping[str, Any]: ...
    def text(self) -> str: ...
    def caveats(self) -> list[str]: ...
    def gaps(self) -> list[str]: ...
    def to_json(self) -> dict[str, Any]: ...
    def to_csv(self) -> str: ...
    @staticmethod
    def tabulate(results: Sequence[Any], decimals: int, labels: Sequence[str] = (),
                 ) -> tuple[list[str], list[list[str]]]: ...


@dataclass(frozen=True)
class Scores:
    """Results of one file under one or several protocols; prints itself in the given style."""

    results: tuple[Printable, ...]
    style: Style = "text"
    explanation: str = ""
    asked: tuple[str, ...] = ()  # metrics that were requested by name

    @property
    def ok(self) -> bool:
        """Whether all metrics that were requested by name could be computed."""
        return not any(set(self.asked) & set(result.left_out) for result in self.results)

    def __str__(self) -> str:
        if self.style == "json":
            contents = [result.to_json() for result in self.results]
            return to_text(contents[0] if len(contents) == 1 else contents)
        if self.style == "text":
            # Notes go to standard error (`notes`).
            texts = [result.text() for result in self.results]
            return "\n\n".join([*texts, *([self.explanation] if self.explanation else [])])
        write = tables.markdown if self.style == "markdown" else tables.latex
        return write(*self.results[0].tabulate(self.results, 2, names_of(self.results)),
                     notes=[result.signature for result in self.results])


def choose_style(json_: bool, markdown: bool, latex: bool) -> Style:
    """The requested style.  Raises UserError if there is more than one."""
    requested: dict[Style, bool] = {"json": json_, "markdown": markdown, "latex": latex}
    styles = [style for style, on in requested.items() if on]
    if len(styles) > 1:
        raise UserError(f"--{styles[0]} and --{styles[1]} are both given; choose one")
    return styles[0] if styles else "text"


def styled(comparison: Comparison, style: Style) -> str:
    """A comparison in the given style."""
    return {"text": lambda: str(comparison), "json": lambda: to_text(comparison.to_json()),
            "markdown": comparison.to_markdown, "latex": comparison.to_latex}[style]()


def split_files(files: Sequence[str], sides_of: Callable[[str], set[str]]) -> tuple[list[str], list[str]]:
    """Predictions (or run folders) and the annotation files after them, distinguished by their content.

    ``sides_of``: whether a file holds "predictions" or "references", or may be either.  Raises UserError for fewer
    than two predictions files, or for predictions after annotations.
    """
    sides = {name: {"predictions"} if Path(name).is_dir() else sides_of(name) for name in files}
    annotated = [name for name in files if sides[name] == {"references"}]
    if not annotated and len(sides[files[-1]]) > 1 and not any(Path(name).is_dir() for name in files):
        annotated = [files[-1]]  # of files that may be either, the last one
    systems: list[str] = []
    references: list[str] = []
    for name in files:
        if name in annotated:
            references.append(name)
            continue
        if references:
            raise UserError(f"{name}: predictions after the annotations {references[0]}; give predictions first, "
                            "then annotations")
        systems.append(name)
    if len(systems) < 2:
        raise UserError(f"{len(systems)} predictions files among {', '.join(files)}; give at least two, then the "
                        "annotations")
    return systems, references


def to_text(content: Any) -> str:
    """``content`` as json text, that of `json.dumps` with ``indent=1``: there the module's fast loop is not used."""
    return _indented(content, 1)


NESTED = {dict, list, tuple}


def _indented(content: Any, depth: int) -> str:
    """Mappings and lists with one item per line; what holds none of these in one call."""
    if not isinstance(content, dict | list | tuple) or not content:
        return json.dumps(content, ensure_ascii=False)
    items = content.values() if isinstance(content, dict) else content
    between = ",\n" + " " * depth
    if NESTED.isdisjoint(map(type, items)):
        text = json.dumps(content, ensure_ascii=False, separators=(between, ": "))
        return f"{text[0]}\n{' ' * depth}{text[1:-1]}\n{' ' * (depth - 1)}{text[-1]}"
    lines = [_indented(item, depth + 1) for item in items]
    if isinstance(content, dict):  # keys as the json module writes them
        keys = (json.dumps({key: 0}, ensure_ascii=False)[1:-4] for key in content)
        lines = [f"{key}: {line}" for key, line in zip(keys, lines, strict=True)]
    first, last = "{}" if isinstance(content, dict) else "[]"
    return f"{first}\n{' ' * depth}{between.join(lines)}\n{' ' * (depth - 1)}{last}"


def write_table(result: Printable, path: Path, about: Mapping[str, Any]) -> None:
    """The table per item as csv, or as json if ``path`` ends so, then with the scores and ``about``.

    Raises UserError for an item with the name of one of the other keys of the json file.
    """
    if path.suffix == ".csv":
        write_text(path, result.to_csv())
        return
    rest = {"signature": result.signature, "scores": result.scores, **about}
    for name in result.rows:
        if name in rest:
            raise UserError(f"{path}: {result.item} {name} has the name of another key of the file; write the table as "
                            ".csv")
    write_json(path, {**result.rows, **rest})


def paths(names: Sequence[str], path: Path) -> list[Path]:
    """One path per protocol: ``path`` for the first; for the others the same with the protocol's name added."""
    return [path, *(path.with_name(f"{path.stem}.{name}{path.suffix}") for name in numbered(names)[1:])]


def numbered(names: Sequence[str]) -> list[str]:
    """Names, numbered if repeated: protocols that differ in their rules, files of several folders."""
    return [name if name not in names[:at] else f"{name}-{names[:at].count(name) + 1}"
            for at, name in enumerate(names)]


def names_of(results: Sequence[Printable]) -> list[str]:
    """The protocols' names, numbered if repeated."""
    return numbered([result.protocol for result in results])


def caveats(results: Sequence[Printable]) -> str:
    """What to know beside a table: coverage, metrics left out, warnings."""
    return "\n".join(f"{name}: {line}" for name, result in zip(names_of(results), results, strict=True)
                     for line in result.caveats())


def notes(results: Sequence[Printable]) -> str:
    """Scores that are 0 by their formula, a line each, without those that results have in common."""
    return "\n".join(f"note: {note}" for note in dict.fromkeys(note for result in results for note in result.notes))


def system_warnings(systems: Mapping[str, Printable]) -> list[str]:
    """Incomplete coverage, metrics left out, and warnings of compared systems; lines that all share appear once."""
    lines = {name: [*result.gaps(), *result.warnings, *result.notes] for name, result in systems.items()}
    shared = [line for line in next(iter(lines.values())) if all(line in own for own in lines.values())]
    return shared + [f"{name}: {line}" for name, own in lines.items() for line in own if line not in shared]


def check_ending(path: str, item: str = "video") -> None:
    """Raises UserError if a table per item is neither .csv nor .json."""
    if path and Path(path).suffix not in (".csv", ".json"):
        raise UserError(f"{path}: the table per {item} is written as .csv or .json; change the ending")


def protocol_table(protocols: Sequence[Any]) -> str:
    """Protocols, dataclasses of one kind, and their rules as a Markdown table, one row per rule."""
    rules = [field.name for field in fields(protocols[0]) if field.name != "name"]
    rows = [[f"`{rule}`", *(_cell(getattr(protocol, rule)) for protocol in protocols)] for rule in rules]
    return tables.markdown(["rule", *(f"`{protocol.name}`" for protocol in protocols)], rows)


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value) or "–"
    return {True: "yes", False: "–"}.get(value, str(value)) if isinstance(value, bool) else str(value)
