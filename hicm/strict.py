"""Plain data into typed dataclasses, strictly, and the yaml it is written in.

The annotation of a field says what it may hold: str, bool, int, float, Literal[...], list[...], dict[str, ...], Any,
another dataclass, or text or a dataclass (``str | ...``).  A number may have limits: `limited`.

Numbers are read as people write them: 010 is ten, 1_000 and 1e3 are a thousand (also where a whole number is expected),
0x10 and 0o20 are sixteen.  1:30, yes, no, on and off are text, so that they are refused where a number or true or
false is expected.
"""

import contextlib
import dataclasses
import datetime
import difflib
import itertools
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from hicm.errors import UserError, brief, reason
from hicm.files import read_text
from hicm.unfold import refuse_bombs

UNFOLDED = 1 << 22  # characters and items of a settings file, its anchors as often as they are named
KINDS = {str: "text (in quotes, if it looks like something else)", bool: "true or false", int: "a whole number",
         float: "a finite number"}


def limited(default: Any, smallest: float, largest: float = math.inf) -> Any:
    """A dataclass field for a number from ``smallest`` to ``largest``, both included."""
    return dataclasses.field(default=default, metadata={"limits": (smallest, largest)})


def read_yaml(path: str | Path) -> Any:
    """The content of a yaml file.  Raises UserError naming the line that is not valid, or that repeats a key."""
    try:
        text = read_text(path, "settings file")
    except UserError as error:
        own = Path(path) / "config.yaml"
        if not own.is_file():
            raise
        raise UserError(f"{error}; the settings of this run are in {own}") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Any:
    """`read_yaml` for text; ``where`` names its origin in errors."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark and "\n" in text else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UserError(f"{where}{line}: not valid yaml ({problem})") from error
    except Exception as error:  # a bomb, thousands of brackets, or "!!bool maybe": PyYAML then raises nearly anything
        raise UserError(f"{where}: not valid yaml ({reason(error)})") from error


def to_yaml(content: Any) -> str:
    """Plain data as yaml that `parse_yaml` reads back unchanged."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False)


def build(cls: type, given: Any, where: str, prefix: str = "", known: Mapping[str, str] | None = None) -> Any:
    """An instance of the dataclass ``cls`` with the values in ``given``, and defaults for the rest.

    ``prefix``: what precedes its keys in error messages, e.g. ``"train."``.  ``known``: settings of other classes that
    a misspelt key may have meant, own name -> full name.  Raises UserError, starting with ``where``, on an unknown key
    (naming the nearest known one), and on a value of the wrong type or outside its limits.
    """
    if not isinstance(given, dict):
        raise UserError(f"{where}: {prefix.rstrip('.')}: expected a section of settings, found {brief(given)}")
    hints = typing.get_type_hints(cls)
    limits = {field.name: field.metadata.get("limits") for field in dataclasses.fields(cls)}
    known = {**(known or {}), **setting_names(cls, prefix)}
    values = {}
    for key, value in given.items():
        name = f"{prefix}{key}"
        if key not in hints:
            raise UserError(f"{where}: unknown setting {name}; the nearest known one is {nearest(str(key), known)}")
        if dataclasses.is_dataclass(hints[key]):
            values[key] = build(hints[key], {} if value is None else value, where, f"{name}.", known)
        else:
            values[key] = _check(value, hints[key], f"{where}: {name}")
            _check_limits(values[key], limits[key], f"{where}: {name}")
    try:
        return cls(**values)
    except UserError as error:  # a section that checks itself does not know where its values come from
        raise UserError(f"{where}: {error}") from error


def setting_names(cls: type, prefix: str = "") -> dict[str, str]:
    """Own name -> full name of every setting of a dataclass and of the dataclasses in it; the outermost wins."""
    hints = typing.get_type_hints(cls)
    names: dict[str, str] = {}
    for name, hint in hints.items():
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            names |= setting_names(hint, f"{prefix}{name}.")
    return names | {name: f"{prefix}{name}" for name in hints}


def nearest(key: str, known: Mapping[str, str]) -> str:
    """The full name in ``known`` (own name -> full name) whose own name is spelt most like ``key``, case aside."""
    by_lower = {name.lower(): full for name, full in known.items()}
    return by_lower[difflib.get_close_matches(key.lower(), by_lower, n=1, cutoff=0.0)[0]]


def _check_limits(value: Any, limits: tuple[float, float] | None, what: str) -> None:
    if limits and not limits[0] <= value <= limits[1]:
        upper = "or more" if limits[1] == math.inf else f"to {limits[1]:g}"
        raise UserError(f"{what}: expected {limits[0]:g} {upper}, found {value:g}")


def _check(value: Any, hint: Any, what: str) -> Any:
    """``value`` as the annotated type.  Raises UserError saying what was expected."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if value is None:  # "key:" with nothing after it
        if origin in (list, dict):
            return origin()
        if hint is str or "" in args:
            return ""
    if origin is Literal:
        if value not in args:
            raise UserError(f"{what}: expected one of {', '.join(repr(a) for a in args)}, found {brief(value)}")
        return value
    if origin is types.UnionType:  # text, or a section of settings
        return build(args[1], value, what) if isinstance(value, dict) else _check(value, args[0], what)
    if origin is list:
        if isinstance(value, str) and str in (args[0], *typing.get_args(args[0])):
            value = [value]
        if not isinstance(value, list):
            raise UserError(f"{what}: expected a list, found {brief(value)}; write [a, b]")
        return [_check(item, args[0], what) for item in value]
    if origin is dict:
        if not isinstance(value, dict):
            raise UserError(f"{what}: expected a mapping, found {brief(value)}")
        return {str(key): _check(item, args[1], what) for key, item in value.items()}
    if hint is Any:
        if isinstance(value, datetime.date):
            raise UserError(f"{what}: {value} is a date; write it in quotes")
        return value
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            if math.isfinite(float(value)):
                return float(value)
    elif hint is int and isinstance(value, float) and value.is_integer():  # 1e3, 20.0
        return int(value)
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise UserError(f"{what}: expected {KINDS[hint]}, found {brief(value)}")


class _Loader(yaml.SafeLoader):
    """YAML 1.1 with the numbers and words described above; repeated keys are an error.

    Objects of other kinds than text, numbers, lists and mappings are refused, and so is what would fill the memory.
    """

    def get_single_data(self) -> Any:
        node = self.get_single_node()
        if node is None:
            return None
        refuse_bombs(node, _parts, _size, UNFOLDED)
        return self.construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"{key.value} occurs twice", problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        text = self.construct_scalar(node).replace("_", "").lower()
        if len(text) > 300:  # no float is as large
            raise yaml.MarkedYAMLError(problem="a whole number of more than 300 digits", problem_mark=node.start_mark)
        return int(text, 0 if "0x" in text or "0o" in text else 10)


def _parts(node: yaml.Node) -> Iterable[yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return itertools.chain.from_iterable(node.value)
    return node.value if isinstance(node, yaml.SequenceNode) else None


def _size(node: yaml.Node) -> int:
    return 1 + len(node.value) if isinstance(node, yaml.ScalarNode) else 1


class _Dumper(yaml.SafeDumper):
    """Quotes text that `_Loader`, or another reader of YAML 1.1, would take for something else."""


_INT = re.compile(r"[-+]?(\d[\d_]*|0x[\da-fA-F]+|0o[0-7]+)$")
_FLOAT = re.compile(r"[-+]?((\d[\d_]*\.[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?|\d[\d_]*[eE][-+]?\d+|\.(inf|Inf|INF))$"
                    r"|\.(nan|NaN|NAN)$")
_BOOL = re.compile(r"(true|True|TRUE|false|False|FALSE)$")
_FORMS = {f"tag:yaml.org,2002:{kind}": form for kind, form in (("int", _INT), ("float", _FLOAT), ("bool", _BOOL))}
_Loader.yaml_implicit_resolvers = {letter: [(tag, _FORMS.get(tag, form)) for tag, form in forms]
                                   for letter, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()}
_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map", "timestamp")
_Loader.yaml_constructors = {tag: make for tag, make in yaml.SafeLoader.yaml_constructors.items()
                             if tag is None or tag.rpartition(":")[2] in _PLAIN}
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
for _tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
    _Dumper.add_implicit_resolver(_tag, _FORMS[_tag], list("-+0123456789."))
