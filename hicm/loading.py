"""Models that a library loads: from a folder of this machine, or from the Hugging Face hub and its cache."""

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from hicm.errors import UserError, reason
from hicm.files import refuse_stand_ins

NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")  # of a repository on the hub
PATIENCE = 10.0  # seconds that the hub has for its first answer


class NoModel(UserError):
    """A model cannot be loaded.  It is wanted for every item, so going on with the next one is of no use."""


@contextlib.contextmanager
def loading(what: str, source: str, offline: bool, remedy: str, kind: str = "model") -> Iterator[str]:
    """Around the loading of a model: whatever is raised becomes NoModel, one line that begins with ``what``.

    ``source``: a file or folder of this machine, or a name on the hub; ``offline``: never contact the hub; ``remedy``:
    what else may be given; ``kind`` of model, for errors about its files.  Where the hub cannot be reached, models are
    read from its cache, without the minutes of retries that its library takes for each file.  Yields as `using_hub`.
    """
    here = Path(source).exists()
    if not here and (source[:1] in "./~" or not NAME.fullmatch(source)):
        raise NoModel(f"{what}: cannot be loaded: there is no {source} on this machine; {remedy}")
    with using_hub(source, offline) as closed:
        try:
            yield closed
        except UserError:
            raise
        except Exception as error:  # unknown names, missing files, no network: all raise their own
            refuse_stand_ins(source, kind)
            folder = cache_folder(source)
            if closed and not here and not (folder / "snapshots").is_dir():
                raise NoModel(f"{what}: {source} is not on this machine (looked in {folder}), and {closed}; load it "
                              "once with a network, or copy that folder from a machine where it was loaded (HF_HOME "
                              f"names another place), or {remedy}") from error
            within = f"; {closed}, and its copy in {folder} may be incomplete" if closed and not here else ""
            raise NoModel(f"{what}: cannot be loaded ({reason(error)}){within}; {remedy}") from error


@contextlib.contextmanager
def using_hub(source: str, offline: bool) -> Iterator[str]:
    """Keep libraries from asking the hub for ``source`` where that is forbidden (``offline``) or of no use.

    Yields why it is not asked, '' when it may be.  It is not tried for a file or folder of this machine.
    """
    from huggingface_hub import constants

    closed = "" if Path(source).exists() and not offline else why_closed(offline)
    before, muted = constants.HF_HUB_OFFLINE, logging.root.manager.disable
    constants.HF_HUB_OFFLINE = before or bool(closed)
    if closed:
        logging.disable(logging.ERROR)  # open_clip also logs what it raises
    try:
        yield closed
    finally:
        constants.HF_HUB_OFFLINE = before
        logging.disable(muted)


def why_closed(offline: bool) -> str:
    """Why the hub is not asked: forbidden by ``offline`` or the environment, or it does not answer; '' if it does."""
    from huggingface_hub import constants, get_session

    if offline:
        return "offline is on"
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except Exception as error:  # of whatever HTTP library the hub's uses
        return f"{constants.ENDPOINT} cannot be reached ({reason(error)})"
    return ""


def cache_folder(source: str) -> Path:
    """Where the hub's library keeps the repository ``source``."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{source.strip('/').replace('/', '--')}"
