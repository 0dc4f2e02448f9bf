"""Where each system lives.  A system is a package, its room, found by its name: there is no list of systems.

``captioner`` is the package ``hicm.systems.captioner``.  Another distribution adds a room by an entry point of the
group ``hicm.systems`` whose value is the name of a package.  Every room has ``settings.py``, which loads without torch
and defines ``Settings`` (a dataclass); and ``system.py``, which defines ``System`` (`hicm.systems.base`).
``settings.py`` may also define

    DEFAULTS                {section: {setting: value}}: of shared sections, where they are not those of `hicm.config`
    PRESETS                 {preset: {section: {setting: value}}}
    PREDICTION_ONLY         settings that do not decide what training yields, e.g. how captions are decoded
    AT_PREDICTION           settings that prediction reads, which may differ from those of the training (default: all)
    WITHOUT_EFFECT          settings at prediction that do not decide what is predicted, by their full names within the
                            section, e.g. how long a server is waited for
    FILES                   files of a saved model beside its description <system>.json and tokenizer/
    start_files(settings)   {setting: file or folder} a training starts from
    prediction_files(settings)  the same for what a prediction reads beside the model
    check(config)           raises UserError when these settings cannot be trained, before anything is read
    memory(config)          what is read of the memory: "tokens" recalled for every sample as ``retrieval`` says;
                            "texts", the same with the texts of nodes; "sentences", when the system itself searches
                            with sentences as ``retrieval`` says; "bank", the bank itself; or "none" (the default)
    speech(config)          whether the system reads speech (the default: it does not)
    QUOTES                  whether its events quote captions of the memory, their scores the cosines to these

A room whose authors released weights reads them in ``convert.py`` (`hicm.stages.convert`), which defines

    recognises(names)                   whether a released file with these names of weights is one of this system
    find_source(checkpoint, config)     the checkpoint on disk, hashed: a `hicm.systems.released.Source`
    settled(config)                     the settings of the run: what the conversion used up is left out
    read(source, config, fresh_memory)  the model, as a `hicm.systems.released.Converted`
    VOCABULARY                          the setting that names the file of words, where checkpoints have none

What `hicm bench` runs of a room stands in its folder ``bench``.

A room whose system tells what it reads while it captions, for scripts/explain_memory.py, defines in ``reading.py``

    GROUPS, POSITIONS           what attention goes to, and what is being written there
    readings(system, samples)   for each video what `hicm.systems.captioner.reading.Reading` describes

A room whose system masks words makes files of annotated sentences in ``word_files.py`` (`hicm.stages.word_files`).

A room that knows what its system does not get from the data defines in ``findings.py``

    findings(config, split, videos, speech, width, folder)

which yields a `hicm.data.findings.Finding` for every count over videos of a split (`Video`) and their `SpeechStore`.
``width``: that of the features, None: not known; ``folder``: the run that trains, or one that is removed after the
last split and may keep what is needed again.
"""

import functools
import importlib
import importlib.util
import pkgutil
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from hicm.errors import UserError
from hicm.plugins import check_name

PACKAGE, GROUP = "hicm.systems", "hicm.systems"


def room_names() -> list[str]:
    """Names of all systems, those of other distributions included."""
    return sorted({*_own(), *(point.name for point in entry_points(group=GROUP))})


def is_room(name: str) -> bool:
    """Whether there is a system of that name."""
    return name in _own() or bool(entry_points(group=GROUP, name=name))


@functools.lru_cache
def room_package(name: str) -> str:
    """The package of a system.  Raises UserError when there is none of that name, or several."""
    if name in _own():
        return f"{PACKAGE}.{name}"
    check_name(PACKAGE, GROUP, name, "system", "system")
    found = sorted({point.value for point in entry_points(group=GROUP, name=name)})
    if len(found) > 1:
        raise UserError(f"system: several installed packages offer {name!r} ({' and '.join(found)}); uninstall all but "
                        "one")
    return found[0]


def room_module(name: str, file: str) -> ModuleType:
    """One file of a system's room, e.g. ``room_module("captioner", "settings")``.

    Raises UserError when there is no such system, or the one of another package cannot be imported.
    """
    package = room_package(name)
    try:
        return importlib.import_module(f"{package}.{file}")
    except Exception as error:
        if package.startswith(f"{PACKAGE}."):
            raise
        raise UserError(f"system: {name!r} is the entry point {package} of group {GROUP}, which cannot be imported "
                        f"({type(error).__name__}: {error}); fix or uninstall that package") from error


def room_constant(name: str, constant: str, default: Any) -> Any:
    """What a room's ``settings.py`` defines under that name; ``default`` where it does not."""
    return getattr(room_module(name, "settings"), constant, default)


def room_has(name: str, file: str) -> bool:
    """Whether a system's room has a file or folder of that name; nothing of it is imported but its package."""
    return importlib.util.find_spec(f"{room_package(name)}.{file}") is not None


def settings_class(name: str) -> type:
    """``Settings`` of a system's room."""
    return room_module(name, "settings").Settings


def room_defaults(name: str) -> dict[str, dict[str, Any]]:
    """``DEFAULTS`` of a system's room: section -> setting -> value."""
    return room_constant(name, "DEFAULTS", {})


def presets(name: str) -> dict[str, dict[str, dict[str, Any]]]:
    """``PRESETS`` of a system's room: preset -> section -> setting -> value."""
    return room_constant(name, "PRESETS", {})


def model_files(name: str) -> tuple[str, ...]:
    """Files of a saved model of the system beside its description."""
    return room_constant(name, "FILES", ())


def start_files(name: str, settings: Any) -> dict[str, str]:
    """The files that a training under these settings of a room starts from, by setting."""
    found = room_constant(name, "start_files", None)
    return {} if found is None else found(settings)


def prediction_files(name: str, settings: Any) -> dict[str, str]:
    """The files beside the model that a prediction under these settings of a room reads, by setting."""
    found = room_constant(name, "prediction_files", None)
    return {} if found is None else found(settings)


def room_findings(config: Any, *about: Any) -> list[Any]:
    """What the system of these settings does not get from data; ``about`` as in ``findings`` (see above)."""
    if not room_has(config.system, "findings"):
        return []
    return list(filter(None, room_module(config.system, "findings").findings(config, *about)))


def check_settings(config: Any) -> None:
    """UserError when the system of these settings can tell, before anything is read, that they cannot be trained."""
    if reads_tokens(config):
        _ = config.data.clock.rate  # refuses rows without a fixed length: windows of the memory would have no times
    if (check := room_constant(config.system, "check", None)) is not None:
        check(config)


def memory_need(config: Any) -> str:
    """What the system of these settings reads of the memory: none, tokens, texts, sentences or bank (see above)."""
    found = room_constant(config.system, "memory", None)
    return "none" if found is None else found(config)


def reads_tokens(config: Any) -> bool:
    """Whether the system of these settings reads what a read of the memory hands over, as vectors or as texts."""
    return memory_need(config) in ("tokens", "texts")


def searches_memory(config: Any) -> bool:
    """Whether ``retrieval`` decides what the system of these settings reads of the memory."""
    return reads_tokens(config) or memory_need(config) == "sentences"


def reads_speech(config: Any) -> bool:
    """Whether the system of these settings reads speech."""
    found = room_constant(config.system, "speech", None)
    return found is not None and found(config)


def quotes_memory(name: str) -> bool:
    """Whether the events of a system quote captions of the memory, their scores the cosines to these."""
    return room_constant(name, "QUOTES", False)


def described_by(folder: Path) -> str:
    """The system whose model lies in ``folder``, by the name of its description ``<system>.json``; '' for none."""
    return next((name for name in room_names() if (folder / f"{name}.json").is_file()), "")


def _own() -> set[str]:
    return {found.name for found in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__) if found.ispkg}
