"""Measurements as plain text."""

from collections.abc import Iterator
from typing import Any

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def table(content: dict[str, Any]) -> str:
    """The machine and a table for every part."""
    machine, settings, versions = content["machine"], content["settings"], content["versions"]
    threads = f", {machine['threads']} threads of torch" if "threads" in machine else ""
    where = f", on {machine.get('gpu', machine['device'])}" if machine.get("device", "cpu") != "cpu" else ""
    loads = "unknown" if machine["load"] is None else " ".join(map(str, machine["load"]))
    lines = [f"{machine['processor']}, {machine['cores']} cores{threads}{where}; load {loads}; {content['date']}",
             ", ".join(f"{name} {versions[name]}" for name in ("hicm", "python", "torch", "transformers", "numpy")
                       if name in versions),
             f"size {settings['size']}, median of {settings['repeat']}; CPU s: of all threads; x: relative to the "
             "run above it that is not indented"]
    lines += [f"warning: {warning}" for warning in content["warnings"]]
    for name, part in content["parts"].items():
        lines += ["", *_part(name, part)]
    return "\n".join(lines)


def _part(name: str, part: dict[str, Any]) -> Iterator[str]:
    yield f"{name}: " + ", ".join(f"{key} {_value(value)}" for key, value in part["settings"].items())
    units = list(dict.fromkeys(unit for run in part["runs"] for unit in run["per_second"]))
    memory = {"peak_mib": "peak MiB", "gpu_peak_mib": "GPU MiB"}
    memory = {key: head for key, head in memory.items() if any(run.get(key) is not None for run in part["runs"])}
    rows = [["", "wall s", "CPU s", "x wall", "x CPU", *(f"{unit}/s" for unit in units), *memory.values()]]
    for run in part["runs"]:
        ratio = run.get("median_ratio")
        rows.append([f"{'  ' if 'base' in run else ''}{run['name']}", *(_seconds(run["median"][kind]) for kind in
                                                                       ("wall", "cpu")),
                     *(f"{ratio[kind]:.2f}" if ratio else "" for kind in ("wall", "cpu")),
                     *(_number(run["per_second"].get(unit)) for unit in units),
                     *(_number(run.get(key)) for key in memory)])
    yield from _aligned(rows)
    for run in part["runs"]:
        if "ratio" in run and len(run["ratio"]["cpu"]) > 1:
            yield (f"  {run['name']}, x CPU in each repeat: " + ", ".join(f"{one:.2f}" for one in run["ratio"]["cpu"]))
    yield from _costs(part)
    for run_, shares in part.get("phases", {}).items():
        yield f"  phases of {run_}: " + ", ".join(f"{phase} {share:.0%}" for phase, share in shares.items())
    for run_, operations in part.get("profile", {}).items():
        yield f"  time of {run_}: " + ", ".join(f"{one['operation']} {one['share']:.0%}" for one in operations)
    yield from (f"  {line}" for line in part["checks"] + part["notes"])


def _costs(part: dict[str, Any]) -> Iterator[str]:
    if "speed" in part:
        speed = part["speed"]
        yield (f"  this machine: {_unit(speed['float32'])}FLOP/s in float32, {_unit(speed['bfloat16'])}FLOP/s in "
               f"bfloat16, {_unit(speed['memory'])}B/s from memory")
    if "few_row_speeds" in part:
        few = part["few_row_speeds"]
        yield (f"  products of {', '.join(map(str, few))} rows, float32: "
               + ", ".join(f"{_unit(speed)}FLOP/s" for speed in few.values()))
    for name, cost in part.get("costs", {}).items():
        moved = (f"{_unit(cost['optimiser_bytes'])}B of the optimiser" if "optimiser_bytes" in cost else
                 f"{_unit(cost['bytes_per_step'])}B in each of {cost['steps']} decoding steps")
        yield (f"  {name}: {_unit(cost['flops'])}FLOP, {moved}: at least {_seconds(cost['floor_seconds'])} s; it took "
               f"{cost['times_the_floor']:.1f} times the floor")


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        yield "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in
                                                  zip(others, widths[1:], strict=True))]).rstrip()


def _value(value: Any) -> str:
    if isinstance(value, list):
        shown = list(map(str, value))
        return " ".join(shown if len(shown) <= 4 else [f"{min(value)} to {max(value)}"])
    return f"{value:,}" if isinstance(value, int) else str(value)


def _seconds(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def _unit(value: float) -> str:
    """
    >>> _unit(2.5e9)
    '2.5 G'
    """
    scale, prefix = next(((scale, prefix) for scale, prefix in PREFIXES if value >= scale), (1.0, ""))
    return f"{value / scale:.1f} {prefix}"
