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
    done: dict[int, tuple[int, int]] = {}  # id of a container that has been walked through -> size and depth of it
    below = parts(root)
    if below is None:
        size(root)
        return
    inside, path = {id(root)}, [_Open(root, iter(below), size(root))]
    while path:
        here = path[-1]
        for item in here.rest:
            if id(item) in done:
                here.add(*done[id(item)])
                continue
            below = parts(item)
            if below is not None:
                break
            here.total += size(item)
        else:
            if here.total > most:
                raise ValueError("it names the same parts again and again, and would fill the memory if written out")
            if here.depth > DEEPEST:
                raise ValueError(f"lists and dicts in it are nested more than {DEEPEST} deep")
            done[id(here.item)] = here.total, here.depth
            inside.remove(id(here.item))
            path.pop()
            if path:
                path[-1].add(here.total, here.depth)
            continue
        if id(item) in inside:
            raise ValueError("a list or dict in it holds itself")
        inside.add(id(item))
        path.append(_Open(item, iter(below), size(item)))


class _Open:
    """A container that is being walked through: what is left, and the size and depth of what is done."""

    __slots__ = ("depth", "item", "rest", "total")

    def __init__(self, item: Any, rest: Iterator[Any], total: int) -> None:
        self.item, self.rest, self.total, self.depth = item, rest, total, 1

    def add(self, total: int, depth: int) -> None:
        self.total += total
        self.depth = max(self.depth, depth + 1)
