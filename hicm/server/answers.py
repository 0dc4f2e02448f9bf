"""Shared by the routes: the job id in the path, the job that it names, error responses."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import HTTPException, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from hicm.server.jobs import ID, Job, Jobs

JobId = Annotated[str, Path(pattern=ID, description="as returned when the job was submitted")]
MISSING = {404: "No such job"}


class Answer(BaseModel):
    """Why a request was refused."""

    detail: str


def find(jobs: Jobs, job_id: str) -> Job:
    """The job with this id.  Raises HTTPException 404 when there is none."""
    job = jobs.get(job_id)
    if job is None:
        raise HTTPException(404, "no such job; it may have been removed")
    return job


def invalid(_: Request, error: Exception) -> JSONResponse:
    """The answer to a `fastapi.exceptions.RequestValidationError`, in the form of all others, without what was sent."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}"}, 422)


def refusals(meanings: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, by status, for its OpenAPI description."""
    return {status: {"model": Answer, "description": meaning} for status, meaning in meanings.items()}
