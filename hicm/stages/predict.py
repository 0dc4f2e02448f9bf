"""The prediction stage: a run folder and a split in, a predictions file out."""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from hicm.config import Config, load_config
from hicm.data.features import open_features
from hicm.data.samples import Samples, SplitSamples, open_samples
from hicm.decisive import not_read
from hicm.errors import UserError
from hicm.files import read_json, require, write_json
from hicm.former import FORMER
from hicm.locks import holding
from hicm.provenance import Origin
from hicm.retrieval.others import of_others
from hicm.stages.given import about_events, events_file, predictions_file, with_events
from hicm.stages.origins import prediction_origin
from hicm.stages.parts import Part, by_video, in_parts, in_video
from hicm.stages.record import Record
from hicm.stages.retrieve import with_recall
from hicm.stages.run_folder import LOCK, model_folder, with_own_bank
from hicm.systems.base import System, find_system
from hicm.tasks import find_task
from hicm.training.processes import connected, main_first, on_main, own_share, start_accelerator, together


def predict(run: Path, split: str = "", checkpoint: str = "", out: Path | None = None, overrides: Sequence[str] = (),
            overwrite: bool = False, events: str = "", format: str = "",
            memory_of: Mapping[str, str] | None = None, queries: Path | None = None) -> Path:
    """Caption the videos of a split with the model of a run; returns the predictions file.

    ``events``: a file (in ``format``, if it has to be named) or a run folder whose events are captioned in place of
    those that the system would find (`hicm.stages.given`).  ``memory_of``: by video, the video of the split whose
    recall it reads in place of its own, a control for the memory's content.  ``queries``: a features file, on the
    clock of the videos' own features as they are read, which asks the memory in place of these, to tell what better
    queries would bring.

    Videos of more than ``data.longest`` seconds are cut into parts, each captioned as a video of its own
    (`hicm.stages.parts`).

    The file says by which settings and inputs it was made; made by the same ones before, it is left as it is.  What
    the videos recall stands beside it, and so do finished videos of an interrupted call, which are not asked for again.
    Raises UserError when the file was made differently (unless ``overwrite``) or holds no predictions, when another
    command is writing it or training the run, when an override names a setting that training decided, or when the model
    does not fit the data or cannot caption given events, and when a video is to be cut that has given events, other
    queries or the memory of another one.
    """
    config = prediction_config(run, overrides)
    split = split or config.data.report
    out = out or predictions_file(run, split, events)
    file = _events_file(config, events, format, split, out)
    accelerator = start_accelerator()
    with connected(accelerator), contextlib.ExitStack() as held:
        with together(accelerator):
            held.enter_context(holding(run / LOCK, "hicm predict", shared=True))  # no training changes the model
            folder = model_folder(run, checkpoint)
            samples = open_samples(config.data, split, captions=False)
            if file is not None:
                samples = with_events(samples, split, file, format)
            asking = samples if queries is None else samples.with_features(
                open_features(queries, config.data.clock.rate, rows=config.data.feature_rows))
        origin = on_main(accelerator, lambda: prediction_origin(config, folder, samples, split, memory_of, queries))
        if on_main(accelerator, lambda: _is_there(out, origin, overwrite)):
            return out  # without loading the model
        with together(accelerator):
            samples, parts = _divided(samples, config, memory_of, queries)
            asking = asking if queries is not None else samples
            system = find_system(config.system).load(folder, config)
            about = {"run": read_json(run / "manifest.json", "run manifest")["run"], "task": system.task,
                     "split": split, "checkpoint": {"name": folder.name, **_step(folder, config)}}
            about |= about_events(file) if file else {}
        record = Record(out, origin.identity, accelerator.process_index)
        if parts and accelerator.is_main_process:
            print(f"videos of more than {config.data.longest:g} seconds are captioned in parts, {len(parts)} in all")
        todo = on_main(accelerator, lambda: _begin(held, out, origin, overwrite, record, samples))
        if todo is None:
            return out
        name = split if out.name == predictions_file(run, split).name else out.stem
        recalled = out.parent / f"retrieved_{name}{'.parts' if parts else ''}.h5"
        asking = main_first(accelerator, lambda: with_recall(config, asking, split, recalled, overwrite=overwrite,
                                                               queries=queries))
        samples = samples.with_recall(asking.recall)
        if memory_of is not None:
            samples = samples.with_recall(of_others(samples, memory_of))
        results, outcomes = _predict(system, samples, todo, accelerator, record, parts)
        if accelerator.is_main_process:
            about |= system.about | _counted(outcomes)
            write_json(out, {"version": "VERSION 1.0", "external_data": {}, **about, "identity": origin.identity,
                             "decided_by": origin.to_json(), "device": _device(accelerator).type, "results": results})
            record.remove()
    return out


def _divided(samples: SplitSamples, config: Config, memory_of: Mapping[str, str] | None,
             queries: Path | None) -> tuple[SplitSamples, dict[str, Part]]:
    """The samples in parts, as `in_parts` makes them; UserError where they are to read what is known of whole videos.
    """
    found, parts = in_parts(samples, config.data.longest)
    told = {"sentences": find_system(config.system).needs_sentences, "given events": samples.given is not None,
            "the memory of another video": memory_of is not None, "other queries": queries is not None}
    if parts and any(told.values()):
        what = next(name for name, used in told.items() if used)
        raise UserError(f"data.longest={config.data.longest:g}: {what} cannot be used in parts of a video; set "
                        "data.longest=0")
    return found, parts


def _is_there(out: Path, origin: Origin, overwrite: bool) -> bool:
    """Whether nothing is left to do; refuses what is no file of predictions."""
    _refuse_other_file(out)
    return not overwrite and _is_made(out, origin)


def _begin(held: contextlib.ExitStack, out: Path, origin: Origin, overwrite: bool, record: Record,
           samples: Samples) -> list[int] | None:
    """Lock the output; the rows that no earlier call has finished, or None where another command has made it by now."""
    held.enter_context(holding(out.with_name(f".{out.name}.lock"), "hicm predict"))
    if not overwrite and out.exists():
        if _is_made(out, origin):
            return None
        raise UserError(f"{out}: holds other predictions ({'; '.join(_differences(out, origin))}); choose another "
                        "--out, or replace them with --overwrite")
    finished, _ = record.of_all()
    return [row for row, video in enumerate(samples.ids) if video not in finished]


def prediction_config(run: Path, overrides: Sequence[str] = ()) -> Config:
    """The settings of a run under ``overrides``, with the run's own memory bank.

    Raises UserError for an override that prediction does not read, as training decided it or for another reason.
    """
    path = require(run / "config.yaml", "run", "give a folder that 'hicm train' wrote")
    config = load_config(path, overrides)
    own = load_config(path)
    for override in overrides:
        setting = override.partition("=")[0].strip()
        reason = not_read(config, FORMER.get(setting, setting))
        if reason and load_config(path, [override]) != own:
            raise UserError(f"--set {override}: {reason}")
    return with_own_bank(run, config, overrides)


def _events_file(config: Config, events: str, format: str, split: str, out: Path) -> Path | None:
    """The file of given events, if any are wanted; UserError where the system cannot caption them, or none is there."""
    if format and not events:
        raise UserError(f"--format {format}: is the format of the file after --events; name that, too")
    if not events:
        return None
    if not find_system(config.system).captions_given:
        raise UserError(f"--events: the system {config.system} describes the events that it finds, not given ones; "
                        "leave the option out, or give the run of another system")
    file = events_file(events, split)
    if out.exists() and out.samefile(file):
        raise UserError(f"{out}: holds the events, which would be lost; choose another --out")
    return file


def _step(folder: Path, config: Config) -> dict[str, Any]:
    """The step of a checkpoint; nothing for converted weights, where it is unknown."""
    step = read_json(folder / f"{config.system}.json", "model description").get("step")
    return {} if step is None else {"step": step}


def _is_made(out: Path, origin: Origin) -> bool:
    """Whether ``out`` was made by these settings and inputs; says so."""
    made = out.exists() and not _differences(out, origin)
    if made:
        print(f"{out}: made by these settings and inputs already")
    return made


def _refuse_other_file(out: Path) -> None:
    """UserError when ``out`` is something else than predictions, such as an input: not even --overwrite replaces it."""
    try:
        content = read_json(out, "predictions") if out.exists() else {"results": {}}
    except UserError:
        content = None
    if not isinstance(content, dict) or "results" not in content:
        raise UserError(f"{out}: exists and holds no predictions; choose another --out, or remove it")


def _differences(out: Path, origin: Origin) -> list[str]:
    """How the origin of ``out`` differs from ``origin``; empty when it does not."""
    return origin.differences(read_json(out, "predictions").get("decided_by"))


def _predict(system: System, samples: Samples, todo: Sequence[int], accelerator: Accelerator,
             record: Record, parts: Mapping[str, Part]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Predict the rows ``todo``, each process its share; on the main process, the events of every video in the form
    of the task, in the order of ``samples``, and how they came about.  ``parts``: of videos, if samples are that."""
    task, device = find_task(system.task), _device(accelerator)
    with together(accelerator):
        own = own_share(system, samples.take(todo), accelerator)
    finished = len(samples) - len(todo)
    with tqdm(total=finished + len(own), initial=finished, desc="predict", unit="part" if parts else "video",
              disable=not accelerator.is_local_main_process) as bar:
        for events in system.predict(own, device) if len(own) else ():
            if parts:
                events = {name: in_video(found, parts[name].span) for name, found in events.items()}
            record.add({video: task.to_json(found) for video, found in events.items()},
                       {video: found for video in events if (found := system.outcomes(video))})
            bar.update(len(events))
    new = gather_object([record.own()])
    if not accelerator.is_main_process:
        return {}, {}
    done, outcomes = record.of_all()
    for part, how in new:  # machines need not share the folder of the journals
        done |= part
        outcomes |= how
    return by_video(done, parts) if parts else {video: done[video] for video in samples.ids}, outcomes


def _device(accelerator: Accelerator) -> torch.device:
    """That of this process, or for one process a GPU where there is one."""
    if accelerator.num_processes > 1:
        return accelerator.device
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _counted(outcomes: dict[str, dict[str, int]]) -> dict[str, Any]:
    """How many captions came about in which way, which is also printed; nothing where there is but one way."""
    total = Counter[str]()
    for counts in outcomes.values():
        total.update(counts)
    if not total:
        return {}
    print("captions: " + ", ".join(f"{kind} {count}" for kind, count in total.most_common()))
    return {"captions": dict(total.most_common())}
