"""Generation by the captioner: ours, `generate` of transformers, and the authors' model, with the same weights."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from hicm.recipes.bench.race import Asked, Counts, Run, Timed, race, to_json
from hicm.rooms import room_module
from hicm.training.speed import card_peak, count_flops, few_row_speeds, measure_speed, profiled, waiter

ORDER, TORCH = 3, True
BEAMS = 4, 1  # the default, and greedy
OURS, PLAIN, REFERENCE = "ours", "transformers", "the authors' model"
ENCODING = "ours, encoding alone"
WARM_UP = 4  # tokens, of the other sides on a processor, where there is little to warm up and much to wait for


def measure(asked: Asked) -> dict[str, Any]:
    """All sides get the same videos at once and end them after as many tokens."""
    case = room_module("captioner", "bench.generation").GenerationCase(asked.size, asked.device)
    others = {PLAIN: case.plain, **({REFERENCE: case.reference(asked.reference)} if asked.reference else {})}

    def count(ids: Any) -> Counts:
        return {"videos": case.videos, "tokens": sum(len(one) - 1 for one in ids)}

    flops: dict[str, int] = {}

    def counted(name: str, work: Callable[[], object]) -> Run:
        return Run(name, work, count=count, first=lambda: flops.update({name: count_flops(work)}))

    runs, most = [], WARM_UP if asked.device.startswith("cpu") else None
    measured = BEAMS[1:] if asked.greedy else BEAMS
    for beams in measured:
        own = _name(OURS, beams)
        runs += [counted(own, partial(case.ours, beams)),
                 *(Run(_name(who, beams), partial(work, beams), own, count, partial(work, beams, most))
                   for who, work in others.items())]
    runs.append(replace(counted(ENCODING, case.encode), base=_name(OURS, 1), count=lambda _: {"videos": case.videos}))
    timed = race(runs, asked, waiter(asked.device), lambda: card_peak(asked.device))
    speed, costs = measure_speed(asked.device), {}
    encoding = flops[ENCODING]
    for beams in measured:
        name = _name(OURS, beams)
        read, steps = case.bytes_of_tokens(timed[name].output, beams)
        decoding = flops[name] - encoding
        floor = encoding / speed.float32 + max(decoding / speed.float32, read / speed.memory)
        costs[name] = {"flops": encoding + decoding, "encoding_flops": encoding, "steps": steps,
                       "bytes_per_step": read / steps, "floor_seconds": floor,
                       "times_the_floor": timed[name].seconds / floor}
    asked.say("profile")
    return {"settings": case.describe(), "runs": to_json(timed), "costs": costs, "speed": vars(speed),
            "few_row_speeds": few_row_speeds(asked.device),
            "profile": {_name(OURS, 1): profiled(partial(case.ours, 1), asked.device)},
            "checks": _compare(timed, case.videos), "notes": []}


def _name(who: str, beams: int) -> str:
    return f"{who}, {f'{beams} beams' if beams > 1 else 'greedy'}"


def _compare(timed: dict[str, Timed], videos: int) -> list[str]:
    found = []
    for name, one in timed.items():
        if one.run.base and one.output is not None:
            own = timed[one.run.base].output
            same = sum(theirs == ours for theirs, ours in zip(one.output, own, strict=True))
            found.append(f"{name}: the ids of {same} of {videos} videos equal ours ({len(set().union(*own))} different "
                         "ids)")
    return found
