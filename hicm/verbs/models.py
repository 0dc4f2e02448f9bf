"""``hicm convert``: released weights as a run folder."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

from hicm.errors import UserError
from hicm.verbs.common import ConfigFile, Overrides, load_settings

if TYPE_CHECKING:
    from hicm.config import Config


def convert(checkpoint: Annotated[str, "released .pth of HiCM2 or Vid2Seq (VidChapters), or a run folder"],
            config: ConfigFile, out: Annotated[str, "run folder written"], *, set_: Overrides = (),
            fresh_memory: Annotated[bool, "give a checkpoint without memory a projection of random weights, to be "
                                          "trained"] = False,
            overwrite: Annotated[bool, "replace another conversion"] = False) -> Path:
    """Turn released weights into a run folder that every command takes; nothing in the file is run."""
    settings = load_settings(config, set_)
    return _converter(settings).convert_checkpoint(checkpoint, settings, out, fresh_memory, overwrite)


def convert_once(checkpoint: str, config: str, set_: Sequence[str]) -> Path:
    """The run folder of a released file under presave/converted, made if absent."""
    if not config:
        raise UserError(f"{checkpoint}: a released checkpoint needs its settings: --config configs/yc2.yaml")
    settings = load_settings(config, [one for one in set_ if not _asks(one)])
    converter = _converter(settings)
    folder = Path("presave/converted") / converter.converted_id(converter.open_source(checkpoint), settings)
    return converter.convert_checkpoint(checkpoint, settings, folder)


def _asks(override: str) -> bool:
    """Whether an override says how a model is asked, which the converted run does not keep."""
    return override.strip().startswith(("predict.", "captioner.decode."))


def _converter(settings: "Config") -> ModuleType:
    from hicm.rooms import room_has, room_module

    if not room_has(settings.system, "released"):
        raise UserError(f"system {settings.system}: there are no released weights of it to convert")
    return room_module(settings.system, "released.convert")
