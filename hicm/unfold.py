"""How large data becomes when every shared part of it is written out: a few bytes can stand for gigabytes.

Pickles and yaml may name a part again instead of repeating it, or put it into itself; whoever walks through such data,
prints it or writes it as json, then never ends.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

DEEPEST = 100  # levels of lists in lists


def refuse_bombs(root: Any, parts: Callable[[Any], Iterable[Any] | None], size: Callable[[Any], int],
                 most: int) -> None:
    """Walk through ``root``, shared parts once.  ``parts``: what a container holds, None for anything else.

    Raises ValueError when a container is in itself, or deeper than DEEPEST, or when the sum of ``size`` over
    everything, shared parts as often as they are named, exceeds ``most``; and whatever ``size`` raises.
    """
    sizes: dict[int, int] = {}  # of finished containers, by id
    stack: list[_Open] = []
    below = parts(root)
    if below is None:
        size(root)
        return
    stack.append(_Open(root, iter(below), size(root)))
    inside = {id(root)}
    while stack:
        here = stack[-1]
        for item in here.rest:
            found = sizes.get(id(item))
            if found is None:
                below = parts(item)
                if below is not None:
                    break
                found = size(item)
            here.total += found
        else:
            if here.total > most:
                raise ValueError("it names the same parts again and again, and would fill the memory if written out")
            sizes[id(here.item)] = here.total
            inside.remove(id(here.item))
            stack.pop()
            if stack:
                stack[-1].total += here.total
            continue
        if id(item) in inside:
            raise ValueError("a list or dict in it holds itself")
        if len(stack) == DEEPEST:
            raise ValueError(f"lists and dicts in it are nested more than {DEEPEST} deep")
        inside.add(id(item))
        stack.append(_Open(item, iter(below), size(item)))


class _Open:
    """A container that is being walked through."""

    __slots__ = ("item", "rest", "total")

    def __init__(self, item: Any, rest: Iterator[Any], total: int) -> None:
        self.item, self.rest, self.total = item, rest, total
