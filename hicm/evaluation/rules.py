"""Rules of protocols, as users write them: found by name, checked, changed."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args, get_type_hints

from hicm.errors import UserError

# A frozen dataclass of rules with a ``name``, such as `hicm.moments_eval.Protocol`.
Protocol = TypeVar("Protocol")


def find_protocol(name: str | Protocol, known: Mapping[str, Protocol]) -> Protocol:
    """The protocol of that name, or ``name`` itself if it is one.

    Raises UserError, naming the nearest one, if there is none.
    """
    if type(name) in {type(protocol) for protocol in known.values()}:
        return name  # type: ignore[return-value]
    if not isinstance(name, str) or name not in known:
        raise UserError(f"protocol {name!r} is unknown; {nearest(str(name), known)}; known: {', '.join(known)}")
    return known[name]


def change_rules(protocol: Protocol, rules: Mapping[str, Any], changeable: Sequence[str],
                 numbers: "Mapping[str, Numbers]") -> Protocol:
    """The protocol with some rules changed; values may be text, as from the command line.

    ``changeable``: the rules that may be changed; ``numbers``: what those that are numbers may be.  Raises UserError
    for an unknown rule or an invalid value.
    """
    kinds, changed = get_type_hints(type(protocol)), {}
    for name, value in rules.items():
        if name not in changeable:
            raise UserError(f"rule {name!r} is unknown; {nearest(str(name), changeable)}; known: "
                            f"{', '.join(changeable)}")
        changed[name] = numbers[name].read(name, value) if name in numbers else chosen(name, value, kinds[name])
    return replace(protocol, **changed)  # type: ignore[type-var]


@dataclass(frozen=True)
class Numbers:
    """What a rule that is a number, or several, may be.

    ``expected`` and ``example`` say it in errors; ``is_good``: the test of each number.  ``several``: fewest and most
    numbers of a list, whose order does not matter unless it is ``ascending``; None for a single number.
    """

    expected: str
    example: str
    is_good: Callable[[float], bool]
    several: tuple[int, int] | None = None
    ascending: bool = False
    whole: bool = False

    def read(self, name: str, value: Any) -> Any:
        """The number, or the ascending tuple of numbers, that ``value`` gives.  Raises UserError for anything else."""
        try:
            return self._numbers(value) if self.several else self._number(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"rule {name} is {value!r}, expected {self.expected}, e.g. {name}={self.example}"
                            ) from error

    def _number(self, value: Any) -> float | int:
        number = float(value)
        if isinstance(value, bool) or not self.is_good(number) or (self.whole and number != int(number)):
            raise ValueError
        return int(number) if self.whole else number

    def _numbers(self, value: Any) -> tuple[float, ...]:
        parts = value.split(",") if isinstance(value, str) and value.strip() else value or ()
        given = [self._number(part) for part in parts]
        found = tuple(sorted(set(given)))
        fewest, most = self.several or (1, 1)
        if not fewest <= len(found) <= most or (self.ascending and list(found) != given):
            raise ValueError
        return found


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint in an error about an unknown name."""
    if "," in name:
        return "separate several names by blanks"
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
