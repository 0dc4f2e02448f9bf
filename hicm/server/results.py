"""The results of a job: its captions in any format, and its video."""

import contextlib
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from hicm.errors import UserError
from hicm.exports import OWN, Captioned, check_formats, path_of, text_of
from hicm.exports.json import read
from hicm.server.answers import MISSING, JobId, find, refusals
from hicm.server.jobs import Jobs

MEDIA = {".json": "application/json", ".vtt": "text/vtt", ".csv": "text/csv", ".xml": "application/xml",
         ".eaf": "application/xml", ".fcpxml": "application/xml", ".otio": "application/json", ".html": "text/html"}
BESIDE = Path()  # a file that links to the video expects it in its own folder


class Video(FileResponse):
    """A file that may be removed at any time."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; where it has gone since, the connection ends early, which tells the client."""
        with contextlib.suppress(FileNotFoundError):
            await super().__call__(scope, receive, send)


def captions(jobs: Jobs, job_id: str) -> Captioned:
    """The captions of a job that is done.  Raises HTTPException when there are none."""
    job = find(jobs, job_id)
    if job.state != "done":
        raise HTTPException(409, f"the job is {job.state}{job.error and f': {job.error}'}")
    try:
        return read(jobs.captions(job_id))
    except UserError as error:
        raise HTTPException(404, "the captions are missing or damaged") from error


def routes(jobs: Jobs) -> APIRouter:
    """The routes below a job."""
    router = APIRouter()

    @router.get("/{job_id}/result", summary="Captions of a job in any format", response_class=Response,
                responses=refusals(MISSING | {409: "The job is not done",
                                              422: "No such format, or it cannot hold these events"}))
    def result(job_id: JobId,
               format: Annotated[str, Query(description="one of those of /api/about")] = OWN) -> Response:
        captioned = captions(jobs, job_id)
        try:
            check_formats([format])
            content, file = text_of(captioned, BESIDE, format), path_of(captioned.id, BESIDE, format)
        except UserError as error:
            raise HTTPException(422, str(error)) from error
        return Response(content, media_type=MEDIA.get(file.suffix, "text/plain"),
                        headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.name)}"})

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
