"""Models: train them, caption with them, convert released weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from hicm import ranks
from hicm.errors import UserError
from hicm.verbs.common import ConfigFile, DryRun, Overrides, load_settings, model_path, print_dry


def train(config: ConfigFile, *, out: Annotated[str, "run folder; default: presave/runs/<settings file>-<hash>"] = "",
          set_: Overrides = (), dry_run: DryRun = False) -> Path | None:
    """Train a system.

    The same command continues an interrupted run.  On several GPUs: accelerate launch --num_processes 8 -m hicm train
    CONFIG, or torchrun --nproc-per-node 8 -m hicm train CONFIG.
    """
    settings, stem = load_settings(config, set_), Path(config).stem
    if dry_run:
        print_dry(settings, f"train {settings.system} -> {out or f'presave/runs/{stem}-<hash>'}")
        return None
    from hicm.stages.train import train

    return train(settings, stem, Path(out) if out else None)


def predict(run: Annotated[str, "run folder, hub:owner/name, or a released .pth, which needs --config and is converted "
                                "first"], *,
            config: Annotated[str, "settings file of a released .pth"] = "",
            split: Annotated[str, "split to caption; default: data.report of the run"] = "",
            checkpoint: Annotated[str, "best or last; default: best, or last where there is no best"] = "",
            out: Annotated[str, "file to write; default: <run>/predictions_<split>.json, with the name of --events "
                                "before .json"] = "",
            events: Annotated[str, "predictions or annotations in any known format, or a run folder, whose events get "
                                   "captions, in place of those that the system would find; of predicted moments, the "
                                   "best one of each query"] = "",
            format: Annotated[str, "format of --events; default: told by the content (docs/evaluation.md)"] = "",
            set_: Overrides = (),
            overwrite: Annotated[bool, "replace predictions made with other settings or inputs"] = False,
            dry_run: DryRun = False) -> Path | None:
    """Caption the videos of a split.

    Videos of more than data.longest seconds, if that is set, are cut into parts.  An interrupted prediction continues.
    Predictions made with other settings or inputs are not replaced unless
    --overwrite is given.  On several GPUs, with the same result: accelerate launch --num_processes 8 -m hicm predict
    RUN, or torchrun --nproc-per-node 8 -m hicm predict RUN.
    """
    if ranks.are_several() and (run.startswith("hub:") or Path(run).is_file()):
        raise UserError(f"{run}: several processes share the work on a run folder; make it with 'hicm pull' or "
                        "'hicm convert' first")
    run = model_path(run)
    if Path(run).is_file() or (config and not Path(run).is_dir()):
        if dry_run and config:
            from hicm.stages.convert import conversion_config

            print_dry(conversion_config(run, config, set_), f"convert {run}, then caption with it")
            return None
        run, set_ = _convert_once(run, config, set_)
    elif config:
        raise UserError(f"{run}: --config is for a released .pth; a run folder has its own settings (change them with "
                        "--set)")
    from hicm.stages.given import predictions_file
    from hicm.stages.predict import predict, prediction_config
    from hicm.stages.run_folder import model_folder

    if dry_run:
        settings = prediction_config(Path(run), set_)
        split = split or settings.data.report
        print_dry(settings, f"{model_folder(Path(run), checkpoint)} on split {split} -> "
                            f"{out or predictions_file(Path(run), split, events)}")
        return None
    return predict(Path(run), split, checkpoint, Path(out) if out else None, set_, overwrite, events, format)


def retrieve(config: ConfigFile, *, split: Annotated[str, "split of videos; default: data.report"] = "",
             out: Annotated[str, "file to write; default: presave/<name>/retrieved_<split>.h5"] = "",
             training: Annotated[bool, "leave out what training leaves out, such as a video's own captions"] = False,
             set_: Overrides = (),
             overwrite: Annotated[bool, "replace a file made with other settings"] = False) -> Path:
    """Write what every window of a split's videos recalls.

    Training and prediction do this themselves; use it to look at the recalled vectors.
    """
    from hicm.stages.retrieve import retrieve

    settings = load_settings(config, set_)
    split = split or settings.data.report
    path = Path(out or f"presave/{settings.data.name}/retrieved_{split}.h5")
    return retrieve(settings, split, path, training, overwrite)


def convert(checkpoint: Annotated[str, "released file of HiCM2, Vid2Seq (VidChapters), CM2, PDVC or MESM, run folder, "
                                       "or hub:owner/name"],
            config: ConfigFile, out: Annotated[str, "run folder to write"], *, set_: Overrides = (),
            vocabulary: Annotated[str, "file of the words of the training (CM2, PDVC), or of their counts (MESM)"] = "",
            fresh_memory: Annotated[bool, "add a memory projection with random weights, still to be trained, to a "
                                          "checkpoint without memory"] = False,
            overwrite: Annotated[bool, "replace another conversion"] = False) -> Path:
    """Turn released weights into a run folder.

    The system is the one that the settings name, or else the one whose weights the file holds.  Every key of the file
    is accounted for, and no code in it is run.
    """
    from hicm.stages.convert import conversion_config, convert_checkpoint

    checkpoint = model_path(checkpoint)
    settings = conversion_config(checkpoint, config, set_, vocabulary)
    return convert_checkpoint(checkpoint, settings, out, fresh_memory, overwrite)


def _convert_once(checkpoint: str, config: str, set_: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The run folder of a released file under presave/converted, made if absent, and what ``set_`` changes in it."""
    from hicm.decisive import only_predicts
    from hicm.stages.convert import conversion_config, convert_once

    if not config:
        raise UserError(f"{checkpoint}: a released checkpoint needs its settings: --config configs/yc2.yaml")
    settings = conversion_config(checkpoint, config, set_)
    later = [one for one in set_ if only_predicts(settings.system, one)]
    kept = conversion_config(checkpoint, config, [one for one in set_ if one not in later])
    return str(convert_once(checkpoint, kept)), later
