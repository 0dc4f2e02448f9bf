"""Which settings decide a training, and which decide predictions: what is compared before results are mixed."""

from typing import Any

from hicm.config import Config, changes
from hicm.former import FORMER
from hicm.rooms import memory_need, prediction_files, room_constant, searches_memory, start_files

# Of section data: names and places, which decide nothing (inputs are known by content), and what only reports read.
PLACES = ("name", "annotations", "features", "streams", "speech", "report")
PREDICTING = ("longest",)  # of section data: what training does not read
TRAINING = ("train", "select", "holdout", "holdout_seed")  # of section data: what prediction does not read
SELECTING = ("evaluate.protocol", "train.select_on")  # decide which weights are kept, and no weight
# Of section retrieval: what is about windows of a video, or about the vectors that are handed over for them.
OF_WINDOWS = ("read", "temperature", "windows", "window_shape", "tail", "mask_padding", "precision")
WRITING = ("workers", "log_every", "checkpoint_every")  # of section train: how fast, and how often it is written down


def training_settings(config: Config) -> dict[str, Any]:
    """The settings that decide what a training yields, by full name, where they differ from their defaults.

    Files that it starts from are inputs, known by their content (`start_files`), and so is the memory bank.
    """
    later = (*room_constant(config.system, "PREDICTION_ONLY", ()),
             *(name.removeprefix(f"{config.system}.") for name in start_files(config.system, config.room)))
    scored = _only(changes(config.evaluate), "protocol") if config.train.evaluates else {}  # it selects
    return _named(config, {"data": _without(changes(config.data), *PLACES, *PREDICTING) | _rates(config),
                           "retrieval": changes(config.retrieval),
                           "train": _without(changes(config.train), *WRITING), "evaluate": scored,
                           config.system: _without(changes(config.room), *later)})


def prediction_settings(config: Config) -> dict[str, Any]:
    """The settings that decide what a trained model predicts, by full name, where they differ from their defaults."""
    read, idle = room_constant(config.system, "AT_PREDICTION", None), room_constant(config.system, "WITHOUT_EFFECT", ())
    files = [name.removeprefix(f"{config.system}.") for name in prediction_files(config.system, config.room)]
    room = {name: value for name, value in changes(config.room).items() if name not in (*idle, *files)}
    retrieval = changes(config.retrieval)
    return _named(config, {"data": _without(changes(config.data), *PLACES, *TRAINING) | _rates(config),
                           "retrieval": retrieval if searches_memory(config) else _only(retrieval, "search"),
                           config.system: room if read is None else _only(room, *read)})


def decided_by_training(config: Config, setting: str) -> bool:
    """Whether prediction does not read a setting (full name), since training decided it.

    A file that prediction reads beside the model may lie elsewhere than in training.
    """
    if setting in prediction_files(config.system, config.room):
        return False
    section, _, rest = setting.partition(".")
    name, read = rest.partition(".")[0], room_constant(config.system, "AT_PREDICTION", None)
    return (section in ("system", "train", "summary") or (section == "memory" and name != "path")
            or (section == "data" and name in TRAINING)
            or (section == config.system and read is not None and name not in read))


def only_predicts(system: str, override: str) -> bool:
    """Whether an override (``section.key=value``) of a system's own settings may be changed after training."""
    setting = override.partition("=")[0].strip()
    section, _, name = FORMER.get(setting, setting).partition(".")
    later = {*room_constant(system, "PREDICTION_ONLY", ()), *room_constant(system, "AT_PREDICTION", ())}
    return section == system and name.partition(".")[0] in later


def not_read(config: Config, setting: str) -> str:
    """Why prediction under ``config`` does not read a setting (full name); '' where it does."""
    section, _, name = setting.partition(".")
    need = memory_need(config)
    if decided_by_training(config, setting):
        return "training decided this setting, and prediction does not read it; leave it out, or train again"
    if section == "evaluate":
        return "only evaluation reads this setting; leave it out"
    if setting in ("retrieval.leave_own_out", "retrieval.leave_best_out"):
        return "only training reads this setting; leave it out"
    if section == "retrieval" and need == "bank":
        return f"the system {config.system} searches the memory in its own way; leave the setting out"
    if section == "retrieval" and need == "sentences" and name in OF_WINDOWS:
        return "this setting is about windows of a video, but here sentences search the memory; leave it out"
    if section == "retrieval" and need == "none" and name not in ("search", "levels"):  # an ablation names both
        return "retrieval.search is none, so nothing is recalled; leave the setting out, or set retrieval.search"
    return ""


def _named(config: Config, settings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Settings by full name."""
    system = {} if config.system == Config.system else {"system": config.system}
    return system | {f"{section}.{name}": value for section, values in settings.items()
                     for name, value in values.items()}


def _rates(config: Config) -> dict[str, Any]:
    """The rows per second of the streams, where one has others than the features."""
    rates = [stream.fps for stream in config.data.beside]
    return {"streams.fps": rates} if set(rates) - {config.data.feature_fps} else {}


def _without(settings: dict[str, Any], *roots: str) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name.partition(".")[0] not in roots}


def _only(settings: dict[str, Any], *roots: str) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name.partition(".")[0] in roots}
