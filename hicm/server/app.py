"""The HTTP API."""

from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from hicm import __version__
from hicm.errors import UserError
from hicm.exports import GROUP
from hicm.plugins import known
from hicm.server import corrections, pages, results
from hicm.server.answers import MISSING, JobId, find, invalid, refusals
from hicm.server.guard import Guard
from hicm.server.head import Head
from hicm.server.jobs import ENDED, Job, Jobs
from hicm.server.settings import Settings
from hicm.server.supervisor import Supervisor
from hicm.server.uploads import Uploads


class About(BaseModel):
    """Version, limits and formats."""

    version: str = Field(description="of hicm")
    max_size: int = Field(description="bytes of a video")
    keep_seconds: float = Field(description="how long a job is kept after its end, or after its captions were last "
                                            "saved")
    queue: int = Field(description="how many jobs may wait")
    formats: list[str] = Field(description="of a result")


def make_app(settings: Settings, jobs: Jobs, supervisor: Supervisor) -> FastAPI:
    """The application; ``supervisor`` has to run beside it."""
    app = FastAPI(title="hicm serve", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False,
                  summary="Dense video captioning: submit a video, wait, fetch its events.",
                  description="One job runs at a time, in the order of submission. Errors are {\"detail\": reason}.",
                  responses=refusals({422: "An invalid id, parameter or header", 500: "An error in hicm"}))
    app.add_exception_handler(RequestValidationError, invalid)
    app.include_router(_about(settings), prefix="/api")
    app.include_router(_job_routes(jobs, supervisor, Uploads(jobs, settings)), prefix="/api/jobs", tags=["jobs"])
    app.include_router(results.routes(jobs), prefix="/api/jobs", tags=["results"])
    app.include_router(corrections.routes(jobs, settings), prefix="/api/jobs", tags=["results"])
    app.include_router(pages.routes(jobs))
    app.add_middleware(Head)
    app.add_middleware(Guard, settings=settings)
    return app


def _about(settings: Settings) -> APIRouter:
    router = APIRouter(tags=["server"])
    formats = known("hicm.exports", GROUP, "render")

    @router.get("/about", summary="Limits and formats")
    def about() -> About:
        return About(version=__version__, max_size=settings.max_size, keep_seconds=settings.keep.total_seconds(),
                     queue=settings.queue, formats=formats)

    return router


def _job_routes(jobs: Jobs, supervisor: Supervisor, uploads: Uploads) -> APIRouter:
    router = APIRouter()
    video_body = {"required": True, "description": "the file itself", "content": {"application/octet-stream": {
        "schema": {"type": "string", "format": "binary"}}}}

    @router.post("", status_code=201, summary="Submit a video", openapi_extra={"requestBody": video_body},
                 responses=refusals({408: "The upload stalled or was too slow", 413: "The video is too large",
                                      415: "The file is not a video", 503: "Too many uploads, or the queue is full",
                                      507: "The disk is full"}))
    async def submit(request: Request, name: Annotated[str, Query(max_length=1000, description="of the file; only "
                                                                  "shown")] = "video") -> Job:
        """The body is the video file itself."""
        job = await uploads.receive(request, name)
        await supervisor.notify()
        return job

    @router.get("", summary="List jobs")
    async def listing(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[Job]:
        """Newest first."""
        return list(jobs)[::-1][:limit]

    @router.get("/{job_id}", summary="Status of a job", responses=refusals(MISSING))
    async def status(job_id: JobId) -> Job:
        return find(jobs, job_id)

    @router.post("/{job_id}/cancel", summary="Cancel a job", responses=refusals(MISSING | {409: "The job has ended"}))
    async def cancel(job_id: JobId) -> Job:
        """The job is queued or running; its video is kept, as that of a failed job is."""
        if find(jobs, job_id).state in ENDED:
            raise HTTPException(409, f"the job is already {find(jobs, job_id).state}")
        await supervisor.cancel(job_id)
        return find(jobs, job_id)

    @router.delete("/{job_id}", status_code=204, summary="Delete a job",
                   responses=refusals(MISSING | {507: "The disk cannot be written"}))
    async def delete(job_id: JobId) -> None:
        """The job, its video and its captions; one that has not ended is cancelled first."""
        if find(jobs, job_id).state not in ENDED:
            await supervisor.cancel(job_id)
        try:
            await jobs.remove(job_id)
        except UserError as error:
            raise HTTPException(507, "the job cannot be removed; check the disk and permissions of the server's --data "
                                     "folder") from error

    return router
