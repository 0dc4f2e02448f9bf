"""Rules of protocols, as users write them."""

import difflib
from collections.abc import Iterable
from typing import Any, get_args

from hicm.errors import UserError


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint in an error about an unknown name."""
    # Upper and lower case are what people get wrong most: cider, Rouge-l.
    by_lower = {str(entry).lower(): entry for entry in known}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.0)
    return f"the nearest is {by_lower[near[0]]!r}"


def chosen(name: str, value: Any, kind: Any) -> Any:
    """The value of a rule of ``kind`` Literal, bool or str, which may be given as text.

    Raises UserError naming the choices.
    """
    choices = {"true": True, "false": False} if kind is bool else {choice: choice for choice in get_args(kind)}
    key = str(value).lower() if kind is bool else str(value)
    if choices and key not in choices:
        raise UserError(f"rule {name} is {value!r}, expected one of {', '.join(choices)}")
    return choices[key] if choices else str(value)
