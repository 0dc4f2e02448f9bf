"""The results of a job: its captions in any format, and its video."""

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from hicm.errors import UserError
from hicm.exports import OWN, Captioned, check_formats, path_of, text_of
from hicm.exports.json import parse
from hicm.files import read_text
from hicm.server.answers import MISSING, JobId, find, refusals
from hicm.server.head import HEAD
from hicm.server.jobs import Jobs

MEDIA = {".json": "application/json", ".vtt": "text/vtt", ".csv": "text/csv", ".xml": "application/xml",
         ".eaf": "application/xml", ".fcpxml": "application/xml", ".otio": "application/json", ".html": "text/html"}
BESIDE = Path()  # a file that links to the video expects it in its own folder
Version = Literal["current", "original"]


class Video(FileResponse):
    """A file that may be removed at any time."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; where it has gone since, the connection ends early, which tells the client."""
        if HEAD in scope:
            scope = {**scope, "method": "HEAD"}  # so that the file is not read
        with contextlib.suppress(FileNotFoundError):
            await super().__call__(scope, receive, send)


@dataclass(frozen=True)
class Stored:
    """Captions of a job, and the digest of the file that holds them, which changes with every save."""

    captioned: Captioned
    digest: str

    def etag(self, format: str = OWN) -> str:
        """The ETag of these captions in a format: files of different formats differ."""
        return f'"{self.digest}"' if format == OWN else f'"{self.digest}.{format}"'


def stored(jobs: Jobs, job_id: str, version: Version = "current") -> Stored:
    """The captions of a job that is done: as they were last saved, or as the captioner made them.

    Raises HTTPException: 404 no such job or captions, 409 not done.
    """
    check_done(jobs, job_id)
    path = jobs.captions(job_id)
    if version == "current" and jobs.corrections(job_id).exists():
        path = jobs.corrections(job_id)
    try:
        text = read_text(path, "captions")
        return Stored(parse(text, path), digest_of(text))
    except UserError as error:
        raise HTTPException(404, "the captions are missing or damaged") from error


def check_done(jobs: Jobs, job_id: str) -> None:
    """Raises HTTPException: 404 no such job, 409 not done."""
    job = find(jobs, job_id)
    if job.state != "done":
        raise HTTPException(409, f"the job is {job.state}{job.error and f': {job.error}'}")


def digest_of(text: str) -> str:
    """The digest of a file of captions with this text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def routes(jobs: Jobs) -> APIRouter:
    """The routes below a job."""
    router = APIRouter()

    @router.get("/{job_id}/result", summary="Captions of a job in any format", response_class=Response,
                responses=refusals(MISSING | {409: "The job is not done",
                                              422: "No such format, or it cannot hold these events"}))
    def result(job_id: JobId,
               format: Annotated[str, Query(description="one of those of /api/about")] = OWN,
               version: Annotated[Version, Query(description="original: as the captioner made them, without "
                                                             "corrections")] = "current") -> Response:
        """The ETag of the json format is what saving corrected captions needs."""
        found = stored(jobs, job_id, version)
        try:
            check_formats([format])
            content, file = text_of(found.captioned, BESIDE, format), path_of(found.captioned.id, BESIDE, format)
        except UserError as error:
            raise HTTPException(422, str(error)) from error
        return Response(content, media_type=MEDIA.get(file.suffix, "text/plain"),
                        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}",
                                 "ETag": found.etag(format)})

    @router.get("/{job_id}/video", summary="The video", response_class=FileResponse, responses=refusals(MISSING))
    def video(job_id: JobId) -> FileResponse:
        """Supports range requests."""
        job = find(jobs, job_id)
        try:
            found = jobs.video(job_id).stat()
        except OSError as error:
            raise HTTPException(404, "the video is missing") from error
        return Video(jobs.video(job_id), media_type=job.media_type, filename=job.name, stat_result=found,
                     headers={"Cache-Control": "private, no-cache"}, content_disposition_type="inline")

    return router
