"""Uploads, streamed to disk within limits; an interrupted or refused one leaves nothing behind."""

import asyncio
import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from hicm.errors import UserError
from hicm.server.jobs import Job, Jobs, clean_name
from hicm.server.processes import start_python
from hicm.server.settings import Settings

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Uploads:
    """Turns uploads into jobs; a bounded number at one time."""

    def __init__(self, jobs: Jobs, settings: Settings) -> None:
        self._jobs, self._settings = jobs, settings
        self._running = 0

    async def receive(self, request: Request, name: str) -> Job:
        """A new job from the body of a request.

        Raises HTTPException: 400 dropped or empty, 408 stalled or too slow, 413 too large, 415 not a video, 503 too
        many uploads or jobs, 507 disk full.
        """
        with self._slot():
            self._check_length(request)
            folder = self._new_folder()
            try:
                size = await self._store(request, folder / "video")
                facts = await self._probe(folder / "video", clean_name(name))
                return self._jobs.add(folder, name, size=size, **facts)
            except UserError as error:  # job.json cannot be written
                raise _full() from error
            except ClientDisconnect as error:  # nobody reads the answer
                raise _refused(400, "the connection was dropped") from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)  # moved away already if all went well

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        settings = self._settings
        if self._running >= settings.uploads:
            raise _refused(503, f"{settings.uploads} videos are being uploaded; try again when one has finished")
        if self._jobs.waiting() + self._running >= settings.queue:
            raise _refused(503, f"{settings.queue} jobs are waiting; try again later")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def _check_length(self, request: Request) -> None:
        """Refuse by Content-Length what would be refused later; without one, bytes are counted as they arrive."""
        stated = request.headers.get("content-length")
        if stated is None:
            return
        if int(stated) > self._settings.max_size:  # h11 has checked that it is a number
            raise self._too_large()
        if int(stated) > shutil.disk_usage(self._jobs.uploads).free:
            raise _full()

    def _new_folder(self) -> Path:
        try:
            return self._jobs.new_upload()
        except OSError as error:
            raise _full() from error

    async def _store(self, request: Request, path: Path) -> int:
        """Write the body to ``path``; returns its size in bytes."""
        size = 0
        with open(path, "xb", buffering=0) as file:
            async for chunk in chunks(request, self._settings):
                size += len(chunk)
                if size > self._settings.max_size:
                    raise self._too_large()
                try:
                    await run_in_threadpool(_write, file.fileno(), chunk)
                except OSError as error:
                    if error.errno in FULL:
                        raise _full() from error
                    raise
        if not size:
            raise _refused(400, "the request has no body; send the video as its body")
        return size

    async def _probe(self, path: Path, name: str) -> dict[str, Any]:
        """What `probe` finds, in a process of its own.  Raises HTTPException when the file is not a video."""
        process = await start_python("hicm.server.probe", str(path), stdin=asyncio.subprocess.DEVNULL,
                                     stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL)
        try:
            async with asyncio.timeout(self._settings.probe):
                out, _ = await process.communicate()
        except TimeoutError as error:
            raise _refused(415, f"{name}: the decoder returned no picture within {self._settings.probe:g} seconds; "
                                "convert the video to MP4") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise _refused(415, f"{name}: the decoder crashed; the file is damaged")
        found = json.loads(out)
        if "error" in found:
            raise _refused(415, found["error"].replace(str(path), name))
        return found

    def _too_large(self) -> HTTPException:
        return _refused(413, f"the video is larger than {size_text(self._settings.max_size)}, the limit of this server "
                             "(--max-size)")


async def chunks(request: Request, settings: Settings) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Raises HTTPException 408 when nothing arrives for ``idle`` seconds, or less than ``rate`` bytes per second for
    ``rate_period`` seconds: a client that sends a byte now and then would hold one of the few uploads.
    """
    stream = aiter(request.stream())
    begun, received = time.monotonic(), 0  # of this period
    while True:
        try:
            async with asyncio.timeout(settings.idle):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise _refused(408, f"no data for {settings.idle:g} seconds; upload again") from error
        if chunk:
            received += len(chunk)
            yield chunk
        passed = time.monotonic() - begun
        if passed >= settings.rate_period:
            if received < settings.rate * passed:
                raise _refused(408, f"less than {size_text(settings.rate)} per second for {passed:.0f} seconds; "
                                    "upload again over a faster connection")
            begun, received = time.monotonic(), 0


def _write(handle: int, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(handle, rest):]


def _full() -> HTTPException:
    return _refused(507, "the server's disk is full; remove old jobs, or free space in its --data folder")


def _refused(status: int, detail: str) -> HTTPException:
    return HTTPException(status, detail, {"Retry-After": "10"} if status == 503 else None)


def size_text(size: int) -> str:
    """Bytes for people.

    >>> size_text(4 << 30), size_text(1536)
    ('4 GB', '1.5 KB')
    """
    value, unit = float(size), "bytes"
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if value < 1024 or unit == "TB":
            break
        value /= 1024
    return f"{value:.3g} {unit}"
