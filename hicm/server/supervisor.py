"""Gives jobs to the worker process, one at a time, and restarts it when it dies, so that a crash costs one job."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

from hicm.errors import UserError
from hicm.server.jobs import ENDED, Job, Jobs, Progress, now
from hicm.server.processes import start_python
from hicm.server.settings import Settings

LINE = 1 << 20  # bytes of a report at most


class Supervisor:
    """Makes every change of a queued or running job.

    Call `start` before `run`, and `close` at the end.
    """

    def __init__(self, jobs: Jobs, settings: Settings) -> None:
        self._jobs, self._settings = jobs, settings
        self._worker: _Worker | None = None
        self._job = ""  # id of the running job
        self._stopped: set[str] = set()  # ids of running jobs that were cancelled
        self._changed = asyncio.Condition()  # a job was added, or one has ended

    async def start(self) -> None:
        """Load the models.  Raises UserError when that fails."""
        self._worker = await _Worker.start(self._settings)
        await self._worker.ready()

    async def run(self) -> None:
        """Caption queued jobs until cancelled; a job that is running then is queued again."""
        while True:
            job = self._jobs.next()
            if job is None:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._jobs.next() is not None)
                continue
            await self._caption(job)
            await self.notify()

    async def notify(self) -> None:
        """Tell `run` of a new job."""
        async with self._changed:
            self._changed.notify_all()

    async def cancel(self, job_id: str) -> None:
        """End a job that is queued or running; returns when it has ended."""
        if job_id != self._job:
            self._jobs.change(job_id, state="cancelled")
            return
        self._stopped.add(job_id)
        if self._worker:
            self._worker.kill()
        async with self._changed:
            await self._changed.wait_for(lambda: (job := self._jobs.get(job_id)) is None or job.state in ENDED)

    async def close(self) -> None:
        """End the worker."""
        if self._worker:
            await self._worker.end()

    async def _caption(self, job: Job) -> None:
        self._job = job.id
        self._jobs.change(job.id, state="running", started=now())
        try:
            change = await self._result(job)
            self._jobs.change(job.id, **change)
        except UserError as error:
            cancelled = job.id in self._stopped
            self._jobs.change(job.id, **({"state": "cancelled"} if cancelled else
                                         {"state": "failed", "error": str(error)}))
        except asyncio.CancelledError:
            self._jobs.change(job.id, state="queued", started=None)
            raise
        finally:
            self._job = ""
            self._stopped.discard(job.id)

    async def _result(self, job: Job) -> dict[str, Any]:
        """The changes that end a job.  Raises UserError with the reason when the worker cannot start, or dies."""
        worker = self._worker
        if worker is None or worker.ended:
            self._worker = worker = await _Worker.start(self._settings)
        try:
            await worker.ready()
            own = self._settings.captioner["cache"] if self._settings.keep_cache else str(self._jobs.cache(job.id))
            request = {"video": str(self._jobs.video(job.id)), "name": job.name,
                       "out": str(self._jobs.captions(job.id)), "cache": own}
            async for report in worker.reports(request, self._settings.stall):
                if "stage" in report:
                    self._jobs.follow(job.id, Progress(**report))
                elif "finished" in report:
                    return {"state": "done", "events": report["finished"], "warnings": report["warnings"]}
                else:
                    if "broken" in report:
                        worker.kill()
                    return {"state": "failed", "error": report["failed"]}
            raise UserError(await worker.exit_reason())
        finally:
            if worker.ended:  # the next one loads its models before it is needed
                await worker.end()
                self._worker = await _Worker.start(self._settings)


class _Worker:
    """One `hicm.server.worker` process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ready = self._killed = False

    @classmethod
    async def start(cls, settings: Settings) -> "_Worker":
        """A process that begins to load the models."""
        pipe = asyncio.subprocess.PIPE
        worker = cls(await start_python(settings.worker, stdin=pipe, stdout=pipe, limit=LINE))
        worker._send(settings.captioner)
        return worker

    @property
    def ended(self) -> bool:
        """Whether it can take no more jobs."""
        return self._killed or self._process.returncode is not None

    async def ready(self) -> None:
        """Wait until the models are loaded.  Raises UserError when they cannot be."""
        if self._ready:
            return
        report = await self._report()
        if report is None:
            raise UserError(f"{await self.exit_reason()}, while it loaded the models")
        if "refused" in report:
            await self.end()
            raise UserError(report["refused"])
        self._ready = True

    async def reports(self, request: dict[str, Any], stall: float) -> AsyncIterator[dict[str, Any]]:
        """The reports of the worker on one job, until it dies or the caller stops reading.

        Raises UserError, and kills the worker, when there was none for ``stall`` seconds.
        """
        self._send(request)
        while True:
            try:
                async with asyncio.timeout(stall):
                    report = await self._report()
            except TimeoutError as error:
                self.kill()
                raise UserError(f"nothing has happened for {stall / 60:g} minutes, so the process that captions was "
                                "ended; the decoder may hang on this video: convert it to MP4") from error
            if report is None:
                return
            yield report

    async def exit_reason(self) -> str:
        """Why the process has ended, for users."""
        code = await self._process.wait()
        if code >= 0:
            return f"the process that captions ended with status {code}; the server's output may say why"
        hint = {signal.SIGKILL: "perhaps for lack of memory",
                signal.SIGSEGV: "the video is probably damaged"}.get(signal.Signals(-code), "")
        return f"the process that captions was ended by {signal.Signals(-code).name}{hint and f', {hint}'}"

    def kill(self) -> None:
        """Kill the process and its children; does not wait."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill the process if it still runs, and wait for its end."""
        if not self.ended:
            self.kill()
        await self._process.wait()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _report(self) -> dict[str, Any] | None:
        """The next line; None when the process has ended."""
        assert self._process.stdout
        line = await self._process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None
