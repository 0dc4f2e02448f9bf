"""The training stage: settings in, run folder out; the same call continues an interrupted run."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from hicm.config import Config, dump_config, save_config
from hicm.data.annotations import read_annotations, split_references
from hicm.data.holdout import describe_selection, describe_split
from hicm.data.samples import SplitSamples
from hicm.errors import UserError
from hicm.files import atomic_folder, read_json, write_json
from hicm.heap import kept_memory
from hicm.locks import holding
from hicm.provenance import Origin, now
from hicm.rooms import check_settings, described_by, start_files
from hicm.stages.look import warn_of_findings
from hicm.stages.origins import training_origin, training_samples
from hicm.stages.retrieve import with_recall
from hicm.stages.run_folder import LOCK, compare_run, find_run, keep_bank, open_run, read_manifest, run_name
from hicm.systems.base import Chooser, Learner, System, find_system
from hicm.tasks import find_task, summands, value_of
from hicm.training.evaluators import Selection, check_scoring
from hicm.training.loop import run_loop, seed_all
from hicm.training.metrics import check_asked, check_metric
from hicm.training.precision import choose_precision
from hicm.training.processes import connected, main_first, on_main, start_accelerator, together
from hicm.types import Event


def train(config: Config, stem: str, out: Path | None = None) -> Path:
    """Train the system that ``config`` names; returns the run folder, ``out`` or presave/runs/<stem>-<hash>.

    Raises UserError when the folder holds a run with other settings or inputs or is in use, when bank or features are
    missing, when its checkpoints could not be decoded or scored, or when training diverges.  What was done before an
    error, a signal or a kill is kept, and the same call continues.
    """
    kind = find_system(config.system)
    check_settings(config)
    accelerator = start_accelerator()
    with connected(accelerator):
        return _train(config, kind, stem, out, accelerator)


def _train(config: Config, kind: type[System], stem: str, out: Path | None, accelerator: Accelerator) -> Path:
    selecting = [config.data.select] if issubclass(kind, Learner) and config.train.evaluates else []
    with together(accelerator):
        samples = training_samples(config, *selecting)

    def place() -> tuple[Path, Origin, bool]:
        task = find_task(kind.task)
        check_asked(config, task)
        if issubclass(kind, Chooser):
            check_metric(config, task)
        for split in selecting:
            check_scoring(config, task, samples[split].videos)
        origin = training_origin(config, samples)
        folder = out or find_run(stem, config, origin)
        return folder, origin, issubclass(kind, Chooser) and _is_finished(folder, config, origin)

    folder, origin, finished = on_main(accelerator, place)  # digests, which only one process needs to compute
    if finished:
        accelerator.print(f"{folder}: its settings were chosen from these inputs already")
        return folder
    with contextlib.ExitStack() as held:
        with together(accelerator):
            if accelerator.is_main_process:
                held.enter_context(holding(folder / LOCK, "hicm train"))
        _train_in(folder, config, kind, run_name(stem, origin), origin, samples, selecting, accelerator)
    return folder


def _train_in(folder: Path, config: Config, kind: type[System], run: str, origin: Origin,
              samples: Mapping[str, SplitSamples], selecting: list[str], accelerator: Accelerator) -> None:
    """Train in a run folder that no other command writes."""

    def start() -> tuple[str, Config]:
        for stale in folder.glob(".checkpoint.pt.*.pt"):  # of killed processes
            stale.unlink()
        found = open_run(folder, run, config, origin, device=describe_device(), parents=_parents(config),
                         selected_on=_selected_on(config, kind))
        keep_bank(folder, found[1])
        record_precision(folder, found[1], accelerator.device)
        if issubclass(kind, Learner):
            record_batch(folder, found[1], accelerator.num_processes)
        return found

    run, config = on_main(accelerator, start)
    with together(accelerator):
        if not (folder / "manifest.json").exists():
            raise UserError(f"{folder}: no run on one of the machines; all machines need the folder on a shared "
                            "disk")
        recorded = read_manifest(folder).get("precision")

    def prepare() -> tuple[System, list[Selection]]:
        teaching = with_recall(config, samples[config.data.train], config.data.train, folder / "retrieved_training.h5",
                               training=True)
        chosen = [with_recall(config, samples[split], split, folder / f"retrieved_{split}.h5") for split in selecting]
        seed_all(config.train.seed, 0, 0)
        system = kind.prepare(config, folder, teaching)
        return system, [Selection(config, system, one) for one in chosen]

    system, evaluators = main_first(accelerator, prepare)
    if accelerator.is_main_process:
        warn_of_findings(config, samples[config.data.train], folder)
    selected: Any = "nothing to select: the system has no checkpoints"
    if isinstance(system, Learner):
        precision, _ = choose_precision(config.train, accelerator.device, recorded)
        settings = replace(config.train, precision=precision)
        with kept_memory(accelerator.device.type == "cpu"):
            progress = run_loop(system, settings, folder, run, accelerator, evaluators)
        selected = ({"metric": config.train.select_on, "value": progress.best, "step": progress.best_step}
                    if progress.best is not None else "last checkpoint: the selecting metric was never computed")
    elif isinstance(system, Chooser) and accelerator.is_main_process:
        selected = _choose(config, system, folder, run)
        if system.settings is not None:
            config = replace(config, room=system.settings)
            save_config(config, folder / "config.yaml")
    if accelerator.is_main_process:
        _finish(folder, config, selected)


def record_batch(folder: Path, config: Config, processes: int) -> None:
    """Print how many videos a step learns from, and write it to the manifest."""
    train = config.train
    videos = processes * train.batch * train.accumulate
    print(f"train: {videos} videos in a step ({processes} process{'es' * (processes > 1)} x train.batch {train.batch} "
          f"x train.accumulate {train.accumulate})")
    manifest = read_manifest(folder)
    write_json(folder / "manifest.json", manifest | {"batch": {"videos": videos, "processes": processes}})


def record_precision(folder: Path, config: Config, device: torch.device) -> None:
    """Write to the manifest what ``train.precision: auto`` chose; a run that continues keeps it."""
    manifest = read_manifest(folder)
    _, found = choose_precision(config.train, device, manifest.get("precision"))
    if found:
        write_json(folder / "manifest.json", manifest | {"precision": found})


def describe_device() -> dict[str, Any]:
    """The processor or card that the numbers come from."""
    if not torch.cuda.is_available():
        return {"kind": "cpu", "threads": torch.get_num_threads()}
    return {"kind": "cuda", "name": torch.cuda.get_device_name(), "count": torch.cuda.device_count(),
            "cuda": torch.version.cuda}


def _is_finished(folder: Path, config: Config, origin: Origin) -> bool:
    """Whether the settings of a system without checkpoints were chosen from these inputs already."""
    if not (folder / "manifest.json").exists() or described_by(folder / "best") != config.system:
        return False
    manifest = read_manifest(folder)
    return "finished" in manifest and not compare_run(folder, manifest, config, origin)


def _choose(config: Config, system: Chooser, folder: Path, run: str) -> dict[str, Any]:
    """Choose settings by the training videos' own references; leaves ``tried.json`` and ``best/``."""
    task, metric = find_task(system.task), config.train.select_on
    annotators = [part if isinstance(part, dict) else read_annotations(part)
                  for part in split_references(config.data, config.data.train)]

    def score(events: Mapping[str, list[Event]]) -> float:
        predictions = {video: task.to_json(found) for video, found in events.items()}
        references = [{video: part[video] for video in events if video in part} for part in annotators]
        result = task.evaluate({"results": predictions}, references, config.evaluate.protocol, metrics=summands(metric))
        return value_of(metric, result)

    tried = system.choose(score)
    best = max((one["score"] for one in tried), default=None)
    write_json(folder / "tried.json", {"metric": metric, "tried": tried})
    with atomic_folder(folder / "best") as chosen:
        system.save(chosen, run=run, metric=metric, score=best)
    return {"metric": metric, "value": best, "on": config.data.train}


def _selected_on(config: Config, kind: type[System]) -> str:
    """How the reported model is chosen."""
    if issubclass(kind, Learner):
        return describe_selection(config)
    return f"settings with the best {config.train.select_on} on {describe_split(config.data, config.data.train)}"


def _parents(config: Config) -> dict[str, str]:
    """The runs that this one starts from, by setting, where they say who they are."""
    found = {}
    for setting, path in start_files(config.system, config.room).items():
        for manifest in (Path(path) / "manifest.json", Path(path).parent / "manifest.json"):
            if manifest.is_file():
                content = read_json(manifest, "run manifest")
                found[setting] = str(content.get("run")) if isinstance(content, dict) else ""
                break
    return found


def _finish(folder: Path, config: Config, selected: Any) -> None:
    manifest, settings = read_json(folder / "manifest.json"), dump_config(config)
    if "finished" not in manifest or manifest.get("settings") != settings:  # else nothing was left to train
        write_json(folder / "manifest.json", manifest | {"finished": now(), "selected": selected, "settings": settings})
