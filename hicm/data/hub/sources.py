"""Where files come from: the Hugging Face hub and git hosts, a mirror's URL, or a local folder.

Every source describes a file (`Remote`) and brings it whole or not at all: what has arrived is kept beside the target
as ``.<name>.<version>.part``, the next run continues it, and only a complete, verified file gets the target's name.
huggingface_hub's own downloader is not used for that last step: it starts again after a kill and checks only the size.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlsplit

from hicm.data.catalogue import MEMORY_REVISION, Item
from hicm.data.hub.net import Missing, endpoint, explained
from hicm.data.hub.records import CHUNK, Digests, Records, digest_file
from hicm.errors import UserError
from hicm.files import atomic

INSTEAD = "; or give --from FOLDER"
GIT = "https://raw.githubusercontent.com"


@dataclass(frozen=True)
class Remote:
    """A file as its source describes it.

    ``size`` in bytes (None: unknown); ``digest``: sha256 or git blob id ('': unknown); ``version`` changes with the
    content ('': unknown).  Without size or version, an interrupted transfer starts again.
    """

    where: str  # URL or path
    size: int | None
    digest: str
    version: str
    revision: str


class Source(Protocol):
    def look(self, item: Item) -> Remote:
        """What the source says about a file.  Raises Missing, or UserError naming file and remedy."""

    def bring(self, item: Item, remote: Remote, target: Path) -> Digests:
        """Write the verified file to ``target``.  Raises UserError, and then leaves ``target`` as it was."""


def open_source(given: str, revision: str) -> Source:
    """The source ``given``: '' is the hub, http(s)://... a mirror, anything else a folder.

    A mirror or folder is laid out like the hub's repositories (data/..., presave/...).
    """
    if "://" in given:
        parts = urlsplit(given)
        if parts.scheme not in ("http", "https") or not re.fullmatch(r"[\w.:\[\]-]+", parts.netloc.rpartition("@")[2]):
            raise UserError(f"--from {given}: expected http://host/... or https://host/..., or a folder")
        return Web(given.rstrip("/"), revision)
    if given:
        return Folder(Path(given))
    return Web("", revision)


class Web:
    """The hub and git hosts, or with ``base`` a mirror at that URL."""

    def __init__(self, base: str, revision: str):
        self.base, self.revision = base, revision

    def look(self, item: Item) -> Remote:
        from huggingface_hub import get_hf_file_metadata

        url, on_hub = self._url(item), self._on_hub(item)
        with explained(item.target, item.repository, item.page, url, INSTEAD):
            found = get_hf_file_metadata(url, token=None if on_hub else False, endpoint=endpoint())
        etag = found.etag or ""
        is_digest = on_hub and found.commit_hash and re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", etag)
        digest, revision = etag if is_digest else "", found.commit_hash or ""
        if item.host == "git" and not self.base:
            digest, revision = item.git, MEMORY_REVISION
        return Remote(url, found.size, digest, etag or digest, revision)

    def bring(self, item: Item, remote: Remote, target: Path) -> Digests:
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers

        headers = build_hf_headers(token=None if self._on_hub(item) else False) | {"Accept-Encoding": "identity"}
        with _part(target, remote) as (path, stream):
            with explained(item.target, item.repository, item.page, remote.where, INSTEAD):
                http_get(remote.where, stream, resume_size=stream.tell(), headers=headers,
                         expected_size=remote.size, displayed_filename=target.name)
                stream.flush()
                os.fsync(stream.fileno())
            digests = digest_file(path)
            if not digests.matches(remote.digest):
                path.unlink()
                raise UserError(f"{target}: arrived damaged ({digests.size} bytes, not the {remote.digest[:12]}... "
                                "that the source names); run the same command again")
            try:
                path.replace(target)
            except OSError as error:
                raise UserError(f"{target}: cannot be written ({error.strerror}); choose another --out") from error
        for stale in target.parent.glob(f".{target.name}.*.part"):  # of versions that the source no longer has
            with contextlib.suppress(OSError):
                stale.unlink()
        return digests

    def _url(self, item: Item) -> str:
        from huggingface_hub import hf_hub_url

        if self.base:
            return f"{self.base}/{item.path if item.host != 'git' else item.target}"
        if item.host == "git":
            return f"{GIT}/{item.repository}/{MEMORY_REVISION}/{item.path}"
        return hf_hub_url(item.repository, item.path, repo_type=item.host, revision=self.revision, endpoint=endpoint())

    def _on_hub(self, item: Item) -> bool:
        return not self.base and item.host != "git"


class Folder:
    """A local copy of the tree; its data/checksums.json, if it has one, says what the files should be."""

    def __init__(self, folder: Path):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; --from takes a folder or URL with data/ and presave/ in it")
        self.folder, self.records = folder, Records(folder)

    def look(self, item: Item) -> Remote:
        for place in (item.target, item.path):
            path = self.folder / place
            if path.is_file():
                record = self.records.get(item.target)
                return Remote(str(path), path.stat().st_size, record.sha256 if record else "", "",
                              record.revision if record else "")
        raise Missing(f"{item.target}: {self.folder} has no {item.target}; --from takes a folder with data/ and "
                      "presave/ in it")

    def bring(self, item: Item, remote: Remote, target: Path) -> Digests:
        from tqdm import tqdm

        with atomic(target) as temporary:
            with _reading(remote.where) as source, open(temporary, "wb") as stream, \
                    tqdm(total=remote.size, unit="B", unit_scale=True, desc=target.name, leave=False) as bar:
                while chunk := source.read(CHUNK):
                    stream.write(chunk)
                    bar.update(len(chunk))
            digests = digest_file(temporary)
            if not digests.matches(remote.digest):
                raise UserError(f"{remote.where}: sha256 {digests.sha256[:12]}... where {remote.digest[:12]}... is "
                                "recorded; the copy is damaged or another version: copy it again")
        return digests


@contextlib.contextmanager
def _part(target: Path, remote: Remote) -> Iterator[tuple[Path, BinaryIO]]:
    """The partial file of ``target``, open at its end and locked."""
    path = part_path(target, remote)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("ab")
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror}); choose another --out") from error
    with stream:
        _lock(stream, target)
        if not remote.version or remote.size is None or stream.tell() > remote.size:
            stream.truncate(0)
        stream.seek(0, os.SEEK_END)
        yield path, stream


def part_path(target: Path, remote: Remote) -> Path:
    """The partial file of an unfinished transfer of this version."""
    version = hashlib.sha256((remote.version or remote.where).encode()).hexdigest()[:12]
    return target.with_name(f".{target.name}.{version}.part")


def _lock(stream: BinaryIO, target: Path) -> None:
    """Keep other commands from writing to the same file; the lock ends with the process."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"{target}: another hicm download is fetching it; wait for it") from None
    except OSError:  # a file system without locks
        return


@contextlib.contextmanager
def _reading(path: str) -> Iterator[Any]:
    try:
        with open(path, "rb") as stream:
            yield stream
    except OSError as error:
        raise UserError(f"{path}: cannot be copied ({error.strerror})") from error
