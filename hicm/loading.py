"""Loading models through a library, from a local folder or from the Hugging Face hub and its cache."""

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from hicm.errors import UserError, reason
from hicm.files import refuse_stand_ins

NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")  # of a repository on the hub
TIMEOUT = 10.0  # seconds until the hub must have answered


class NoModel(UserError):
    """A model cannot be loaded.  Every item needs it, so the work stops instead of going on to the next one."""


@contextlib.contextmanager
def loading(what: str, source: str, offline: bool, remedy: str, kind: str = "model") -> Iterator[str]:
    """Around the loading of a model: whatever is raised becomes NoModel, one line that begins with ``what``.

    ``source``: a local file or folder, or a name on the hub; ``offline``: never contact the hub; ``remedy``: what the
    user can give instead; ``kind`` of model, for errors about its files.  If the hub cannot be reached, models are
    read from its cache, without the minutes of retries that its library makes for each file.  Yields as `using_hub`.
    """
    refuse_nowhere(what, source, remedy)
    here = Path(source).exists()
    with using_hub(source, offline) as closed:
        try:
            yield closed
        except UserError:
            raise
        except Exception as error:  # unknown names, missing files, no network: each raises its own
            refuse_stand_ins(source, kind)
            folder = cache_folder(source)
            if closed and not here and not (folder / "snapshots").is_dir():
                raise NoModel(f"{what}: {source} is not on this machine (looked in {folder}), and {closed}; load it "
                              "once with a network, or copy that folder from a machine where it was loaded (HF_HOME "
                              f"names another place), or {remedy}") from error
            within = f"; {closed}, and its copy in {folder} may be incomplete" if closed and not here else ""
            raise NoModel(f"{what}: cannot be loaded ({reason(error)}){within}; {remedy}") from error


def refuse_nowhere(what: str, source: str, remedy: str) -> None:
    """NoModel for a path that does not exist; a name on the hub is not looked up.  Arguments are as in `loading`."""
    if not Path(source).exists() and (source[:1] in "./~" or not NAME.fullmatch(source)):
        raise NoModel(f"{what}: cannot be loaded: there is no {source} on this machine; {remedy}")


@contextlib.contextmanager
def using_hub(source: str, offline: bool) -> Iterator[str]:
    """Keep libraries from contacting the hub for ``source`` if that is forbidden (``offline``) or would fail.

    Yields the reason why it is not contacted, '' if it may be.  The hub is not tried for a local file or folder.
    """
    from huggingface_hub import constants

    closed = "" if Path(source).exists() and not offline else why_offline(offline)
    before, muted = constants.HF_HUB_OFFLINE, logging.root.manager.disable
    constants.HF_HUB_OFFLINE = before or bool(closed)
    if closed:
        logging.disable(logging.ERROR)  # open_clip also logs what it raises
    try:
        yield closed
    finally:
        constants.HF_HUB_OFFLINE = before
        logging.disable(muted)


def why_offline(offline: bool) -> str:
    """Why not to contact the hub: forbidden by ``offline`` or the environment, or it does not answer; '' if it does."""
    from huggingface_hub import constants, get_session

    if offline:
        return "offline is on"
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        get_session().head(constants.ENDPOINT, timeout=TIMEOUT)
    except Exception as error:  # of whatever HTTP library the hub's uses
        return f"{constants.ENDPOINT} cannot be reached ({reason(error)})"
    return ""


def cache_folder(source: str) -> Path:
    """The folder in which the hub's library caches the repository ``source``."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{source.strip('/').replace('/', '--')}"
