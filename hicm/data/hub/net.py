"""What goes wrong between this machine and a server, in one line with a remedy."""

import contextlib
import os
from collections.abc import Iterator

from hicm.errors import UserError

TRUE = {"1", "ON", "YES", "TRUE"}  # what huggingface_hub takes for true


class Missing(UserError):
    """The source answers, but has no such file."""


def endpoint() -> str | None:
    """The hub's address from HF_ENDPOINT, as it is now (huggingface_hub reads it only at import); None: the default."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def offline() -> bool:
    """Whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids contacting the hub."""
    return any(os.environ.get(name, "").upper() in TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


@contextlib.contextmanager
def explained(name: str, repository: str, page: str, url: str, instead: str = "") -> Iterator[None]:
    """Turn errors of network and disk into UserError: ``name`` (what was wanted), what happened, what to do.

    ``page``: a web page to look at; ``instead``: what could be done without the network.
    """
    from huggingface_hub.errors import HFValidationError, HTTPError

    if offline():
        raise UserError(f"{name}: HF_HUB_OFFLINE forbids fetching it from {repository}; unset it{instead}")
    try:
        yield
    except HFValidationError as error:
        raise UserError(f"{repository}: not the name of a repository ({error}); expected owner/name") from error
    except (HTTPError, OSError) as error:
        raise _explanation(error, name, repository, page, url, instead) from error


def _explanation(error: Exception, name: str, repository: str, page: str, url: str, instead: str) -> UserError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    status = getattr(getattr(error, "response", None), "status_code", 0)
    if isinstance(error, RevisionNotFoundError):
        return UserError(f"{name}: {repository} has no such revision; correct --revision (its branches and tags: "
                         f"{page})")
    if isinstance(error, GatedRepoError):
        return UserError(f"{name}: {repository} is gated; accept its terms at {page}, then log in with 'hf auth login'")
    if isinstance(error, RepositoryNotFoundError) or status in (401, 403):
        return UserError(f"{name}: {repository} does not exist, or you have no access ({status}); if it is private, "
                         f"log in with 'hf auth login' or set HF_TOKEN; otherwise look at {page}")
    if status in (404, 410):
        return Missing(f"{name}: not at {url} ({status}); look for it at {page} and copy it into place{instead}")
    if status:
        return UserError(f"{name}: {url} answers {status}; try again later, the same command continues{instead}")
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        return UserError(f"{name}: cannot be written ({error.strerror}); free space or choose another folder")
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return UserError(f"{name}: {url} does not answer, or the connection broke ({reason}); check the network; the same "
                     f"command continues{instead}")
