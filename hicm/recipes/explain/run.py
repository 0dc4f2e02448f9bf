"""Measures everything about one run; ``results.json`` keeps it."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hicm.cores import usable_cores
from hicm.data.samples import SplitSamples
from hicm.errors import UserError
from hicm.files import read_json, write_json
from hicm.provenance import now, revision
from hicm.recipes.bench.machine import processor
from hicm.recipes.explain import branches, fit, levels
from hicm.recipes.explain.branches import Branch
from hicm.recipes.explain.fit import Fit
from hicm.recipes.explain.levels import Level
from hicm.recipes.explain.plan import Plan
from hicm.recipes.explain.recall import Memory, joined
from hicm.recipes.explain.taken import Attention, Choice, Copying, Example, Located, Taken, taken
from hicm.rooms import room_module
from hicm.stages.retrieve import with_recall
from hicm.stages.run_folder import model_folder
from hicm.systems.base import find_system

RESULTS = "results.json"
ROWS: dict[str, type[Any]] = {"levels": Level, "branches": Branch, "fits": Fit, "attention": Attention,
                              "located": Located, "examples": Example}  # what is listed in it


@dataclass(frozen=True)
class Explained:
    """What was found; ``branches`` is empty where the memory does not hold its captions' embeddings."""

    run: str
    split: str
    date: str
    machine: str
    commit: str
    search: str  # of the run, in words
    nodes: dict[int, int]  # of each level, coarse to fine
    videos: int  # of the split
    events: int  # annotated, with a caption
    compared: int  # of those, the ones that a window overlaps
    own_out: bool
    levels: tuple[Level, ...]
    branches: tuple[Branch, ...]
    fits: tuple[Fit, ...]
    taken: Taken


def explain(plan: Plan, out: Path) -> Explained:
    """Measure a run, or read from ``out`` what was measured of it before.

    Raises UserError when ``out`` holds the results of another run, split or setting, before anything is measured.
    """
    path, origin = out / RESULTS, plan.origin()
    if path.exists():
        return _read(path, origin.identity)
    memory = Memory(plan)
    found = _recall(plan, memory)
    cores = usable_cores()
    one = Explained(run=plan.label, split=plan.split, date=now(), commit=revision().get("commit", ""),
                    machine=f"{processor()}, {cores} core{'s' * (cores > 1)}", search=in_words(plan), **found,
                    own_out=plan.own_out, taken=_taken(plan, out))
    write_json(path, {"identity": origin.identity, "decided_by": origin.to_json(), **asdict(one)})
    return one


def in_words(plan: Plan) -> str:
    """How the run searches its memory."""
    settings = plan.config.retrieval
    beam = f", beam {settings.beam}" if settings.beam and settings.search == "descend" else ""
    rule = {"top-k": f"{settings.top_k} best read", "max": "the best read",
            "similarity": f"cosine {settings.threshold:g} or more read"}[settings.select]
    return f"{settings.search}{beam}, {rule}, {settings.windows} windows ({settings.window_shape})"


def _recall(plan: Plan, memory: Memory) -> dict[str, Any]:
    """All that needs no captioner."""
    columns: dict[str, list[Any]] = {"levels": [], "branches": [], "fits": []}
    for sample in tqdm(plan.samples, desc=f"compare {plan.split}", unit="video"):
        case = memory.case(sample)
        if case is None:
            continue
        columns["levels"].append(levels.cosines(case, memory))
        columns["fits"].append(fit.fits(case, memory))
        if plan.holds_captions:
            columns["branches"].append(branches.branches(case, memory))
    if not columns["levels"]:
        raise UserError(f"split {plan.split}: no annotated event lies in a window; correct its times (seconds), or "
                        "data.feature_fps")
    nodes = {level: len(plan.bank.texts(level)) for level in plan.levels}
    fits = joined(columns["fits"])
    return {"nodes": nodes, "videos": len(plan.samples), "compared": len(fits[memory.shape, "iou"]),
            "events": sum(bool(event.text.strip()) for video in plan.samples.videos for event in video.events),
            "levels": tuple(levels.rows(joined(columns["levels"]), nodes)),
            "branches": tuple(branches.rows(joined(columns["branches"]))) if columns["branches"] else (),
            "fits": tuple(fit.rows(fits, memory.shapes))}


def _taken(plan: Plan, out: Path) -> Taken:
    """What the captioner reads, of the first videos in the order of a hash."""
    room = room_module(plan.config.system, "reading")
    samples = _recalled(plan, out)
    system = find_system(plan.config.system).load(model_folder(plan.run), plan.config)
    with tqdm(total=len(samples), desc="read", unit="video") as bar:
        readings = {}
        for one in room.readings(system, samples):
            readings[one.video] = one
            bar.update()
    annotated = {video.id: [event for event in video.events if event.text.strip()] for video in samples.videos}
    return taken([readings[video] for video in samples.ids], room.GROUPS, room.POSITIONS, annotated, plan.embed)


def _recalled(plan: Plan, out: Path) -> SplitSamples:
    """The videos with what they recall; own captions are left out wherever `Memory` does so, and the best never are."""
    if not plan.own_out:
        return with_recall(plan.config, plan.read, plan.split, out / f"retrieved_{plan.split}.h5")
    retrieval = replace(plan.config.retrieval, leave_own_out=True, leave_best_out=False)
    return with_recall(replace(plan.config, retrieval=retrieval), plan.read, plan.split,
                       out / f"retrieved_{plan.split}_own_out.h5", training=True)


def _read(path: Path, identity: str) -> Explained:
    """What `explain` wrote; UserError where it is of something else."""
    content: Any = read_json(path, "results")
    if not isinstance(content, dict) or content.get("identity") != identity:
        raise UserError(f"{path}: was measured of something else (another run, split, number of videos, setting or "
                        "input); choose another --out, or remove the folder")
    try:
        return _explained({name: value for name, value in content.items() if name not in ("identity", "decided_by")})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: damaged ({type(error).__name__}: {error}); remove it, and run again") from error


def _explained(content: dict[str, Any]) -> Explained:
    own = content["taken"]
    content["nodes"] = {int(level): count for level, count in content["nodes"].items()}
    for name, kind in ROWS.items():
        place = content if name in content else own
        place[name] = tuple(_row(kind, row) for row in place[name])
    for name, kind in (("copying", Copying), ("choice", Choice)):
        own[name] = None if own[name] is None else _row(kind, own[name])
    return Explained(**{**content, "taken": Taken(**own)})


def _row(kind: type[Any], row: dict[str, Any]) -> Any:
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in row.items()})
