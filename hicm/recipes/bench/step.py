"""A training step of the captioner: ours in float32 and in the automatic precision, plainly, and the authors' code."""

from typing import Any

from hicm.config import TrainConfig
from hicm.recipes.bench.race import Asked, Run, race, to_json
from hicm.rooms import room_module
from hicm.training.precision import choose_precision
from hicm.training.speed import Step, card_peak, count_flops, measure_speed, profiled, waiter

ORDER, TORCH = 2, True
OURS, AUTO = "float32 (default)", "precision auto"
RELEASED, PLAIN, REFERENCE = "float32, as released", "plain modules, as released", "the authors' code"


def measure(asked: Asked) -> dict[str, Any]:
    """All sides train the same weights with the same batch; losses are compared without dropout, before any step.

    As released, the second pass appends what the memory recalls once more, which is given: a little more work than by
    default.  Plain modules and the authors' code are therefore compared with ours under that setting.
    """
    case = room_module("captioner", "bench.step").StepCase(asked.size, asked.device)
    first = Step(case.ours(), asked.device)
    steps = {RELEASED: Step(case.ours(released=True), asked.device, share=first),
             PLAIN: Step(case.plain(), asked.device, plain=True, share=first)}
    if asked.reference is not None:
        steps[REFERENCE] = Step(case.reference(asked.reference), asked.device, plain=True, share=first)
    checks = _compare(steps)

    chosen, how = choose_precision(TrainConfig(precision="auto"), first.device)
    speedup = f"products are {how['bf16_speedup']:.2f} times as fast in bfloat16, {how['needed']} are needed"
    auto = f"{AUTO}: {'bfloat16' if chosen == 'bf16' else 'float32'}"
    steps[OURS] = first
    steps[auto] = Step(case.ours(), asked.device, bf16=chosen == "bf16", share=first)

    units = {"videos": case.videos, "tokens": case.tokens}
    asked.say("counting operations")
    flops = count_flops(first)  # as many in any precision
    bases = {PLAIN: RELEASED, REFERENCE: RELEASED, auto: OURS}
    timed = race([Run(name, step, bases.get(name, ""), lambda _: units, before=step.settle)
                  for name, step in steps.items()], asked, waiter(asked.device), lambda: card_peak(asked.device))
    speed, costs, shares = measure_speed(asked.device), {}, first.shares()
    for name in (OURS, auto):
        floor = steps[name].floor(flops, speed)
        costs[name] = {"flops": flops, "optimiser_bytes": first.optimiser_bytes, "floor_seconds": floor,
                       "times_the_floor": timed[name].seconds / floor}
    asked.say("profile")
    profile = {OURS: profiled(first, asked.device)}
    first.release()
    return {"settings": case.describe(), "runs": to_json(timed), "costs": costs, "speed": vars(speed),
            "phases": {OURS: shares}, "profile": profile, "checks": checks,
            "notes": [f"train.precision: auto chooses {'bfloat16' if chosen == 'bf16' else 'float32'} here: {speedup}"]}


def _compare(steps: dict[str, Step]) -> list[str]:
    """Losses without dropout."""
    losses = {name: step.evaluate() for name, step in steps.items()}
    own = losses.pop(RELEASED)
    return [f"loss of {name}: {loss:.6f}, ours under the same settings {own:.6f}, relative difference "
            f"{abs(loss - own) / abs(own):.1e}" for name, loss in losses.items()]
