"""``hicm convert``: released weights as a run folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from hicm.errors import UserError
from hicm.verbs.common import ConfigFile, Overrides, load_settings


def convert(checkpoint: Annotated[str, "released .pth of HiCM2 or Vid2Seq (VidChapters), or a run folder"],
            config: ConfigFile, out: Annotated[str, "run folder written"], *, set_: Overrides = (),
            fresh_memory: Annotated[bool, "give a checkpoint without memory a projection of random weights, to be "
                                          "trained"] = False,
            overwrite: Annotated[bool, "replace another conversion"] = False) -> Path:
    """Turn released weights into a run folder that every command takes; nothing in the file is run."""
    from hicm.systems.captioner.convert import convert_checkpoint

    return convert_checkpoint(checkpoint, load_settings(config, set_), out, fresh_memory, overwrite)


def convert_once(checkpoint: str, config: str, set_: Sequence[str]) -> Path:
    """The run folder of a released file under presave/converted, made if absent."""
    from hicm.systems.captioner.convert import convert_checkpoint, converted_id, open_source

    if not config:
        raise UserError(f"{checkpoint}: a released checkpoint needs its settings: --config configs/yc2.yaml")
    settings = load_settings(config, [one for one in set_ if not one.strip().startswith("predict.")])
    folder = Path("presave/converted") / converted_id(open_source(checkpoint), settings)
    return convert_checkpoint(checkpoint, settings, folder)
