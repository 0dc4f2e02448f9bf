"""Test conditions: the same weights, given other inputs.

    own      what the run itself reads
    random   random nodes of the same memory (retrieval.search=random)
    zero     a zero vector per window (retrieval.search=zero)
    none     no memory (retrieval.search=none)
    flat     the nearest nodes of the level that it reads, all of which are compared (retrieval.search=flat)
    swapped  what another video of the split recalls
    captions what the annotated captions recall, each in the time of its event (`hicm.recipes.memory_reads.asking`)
    frames   the features of another video of the split, which also decide what is recalled
    events   the annotated events, which are only to be captioned

``events`` and ``frames`` can be combined with one of the others: ``events+random``.
"""

from collections.abc import Sequence

from hicm.config import Config
from hicm.errors import UserError
from hicm.rooms import memory_need
from hicm.systems.base import find_system

OWN, EVENTS = "own", "events"
CAPTIONS = "captions"
MEMORY = ("random", "zero", "none", "flat", "swapped", CAPTIONS)
CONDITIONS = (OWN, *MEMORY, "frames", EVENTS)


def parse_condition(name: str) -> tuple[str, ...]:
    """The parts of a condition.  Raises UserError for an unknown part, or two that contradict each other."""
    parts = tuple(name.split("+"))
    unknown = [part for part in parts if part not in CONDITIONS]
    if unknown:
        raise UserError(f"condition {name!r}: expected {', '.join(CONDITIONS)}, or some of them joined by '+'")
    if len(set(parts)) < len(parts) or len(set(parts) & {*MEMORY}) > 1 or (OWN in parts and len(parts) > 1):
        raise UserError(f"condition {name!r}: its parts contradict each other; give one source of memory at most")
    return parts


def base_of(name: str) -> str:
    """The condition that another one is compared with: `OWN`, or given events where the events are given."""
    parts = parse_condition(name)
    return EVENTS if EVENTS in parts and len(parts) > 1 else OWN


def why_not(config: Config, parts: Sequence[str]) -> str:
    """Why a condition says nothing about a system with these settings; empty where it does."""
    need, retrieval = memory_need(config), config.retrieval
    memory = next((part for part in parts if part in MEMORY), "")
    if memory and need == "none":
        return "reads no memory"
    if memory and need == "bank":
        return "searches the memory itself"
    if memory == "swapped" and need == "sentences":
        return "sentences, not videos, search the memory"
    if memory == CAPTIONS and need == "sentences":
        return "sentences search the memory already"
    if memory and retrieval.search == memory:
        return "is how it was trained"
    if memory == "zero" and (need in ("texts", "sentences") or retrieval.read not in ("mean", "weighted")):
        return "no token is read then: the same as none"
    if memory == "random" and retrieval.search == "top_only" and not retrieval.levels:
        return "retrieval.levels does not name the top level, which random nodes should be of"
    if memory == "swapped" and retrieval.search in ("none", "zero"):
        return "every video reads the same"
    if memory == "flat" and retrieval.search != "descend":
        return "does not descend"
    if memory == "flat" and len(set(retrieval.levels)) != 1:
        return "reads several levels"
    if memory == CAPTIONS and retrieval.search in ("none", "zero", "random"):
        return "does not look into the memory"
    if "frames" in parts and not getattr(config.room, "use_video", True):
        return "sees no frames"
    if EVENTS in parts and not find_system(config.system).captions_given:
        return "cannot caption given events"
    return ""


def overrides(config: Config, parts: Sequence[str], seed: int) -> list[str]:
    """The settings of retrieval that a condition changes, as for ``--set``; ``seed``: of random nodes."""
    if CAPTIONS in parts:  # captions are no frames: neither side is moved to zero mean
        return ["retrieval.centring=none"]
    memory = next((part for part in parts if part in ("random", "zero", "none", "flat")), "")
    found = [f"retrieval.search={memory}"] if memory else []
    if memory == "flat":
        found += [f"retrieval.flat_level={config.retrieval.levels[0]}", "retrieval.beam=0"]
    if memory == "random":
        found.append(f"retrieval.seed={seed}")
        if config.retrieval.search == "flat":  # it reads one level, whatever retrieval.levels says
            found.append(f"retrieval.levels=[{config.retrieval.flat_level}]")
    return found
