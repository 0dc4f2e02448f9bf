"""The line that says how a score was made, ``proto:..|..|v:..``: its parts, and how two lines differ."""

from collections.abc import Mapping
from typing import TypeGuard

FREE = ("cov", "boot", "paired")  # parts of a signature that may differ: they change no item's score
CHANGED = "(changed)"  # follows the name of a protocol whose rules were changed


def is_signature(name: object) -> TypeGuard[str]:
    """Whether a protocol's name is a signature, maybe in the code marks of a Markdown table."""
    return isinstance(name, str) and name.lstrip("` \n").startswith("proto:")


def parts_of(signature: str) -> dict[str, str]:
    """The parts of a signature by name; it may be broken into lines and quoted as code.

    >>> parts_of("`proto:hicm|\\niou:.5`")
    {'proto': 'hicm', 'iou': '.5'}
    """
    line = "".join(part.strip() for part in signature.strip("` \n").splitlines())
    return dict(part.partition(":")[::2] for part in line.split("|"))


def of_parts(parts: Mapping[str, str]) -> str:
    """The signature with these parts: the inverse of `parts_of`."""
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def unlike(asked: str, found: str) -> list[str]:
    """How the second of two signatures differs from the first, part by part; coverage and intervals may differ.

    The mark of changed rules is ignored: the other parts show which, except for rules that no metric needs.
    """
    one, two = (parts_of(signature.replace(f"{CHANGED}|", "|", 1)) for signature in (asked, found))
    return [f"{key}:{two.get(key, '(none)')} instead of {key}:{one.get(key, '(none)')}" for key in {**one, **two}
            if key not in FREE and one.get(key) != two.get(key)]


def number(value: float) -> str:
    """A number with all its digits.

    >>> number(0.5), number(10), number(1 / 3)
    ('0.5', '10', '0.3333333333333333')
    """
    return repr(float(value)).removesuffix(".0")
