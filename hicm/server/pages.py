"""The HTML pages.  By name, only the files of ``assets`` are served, which are read once."""

import mimetypes
import re
from dataclasses import replace
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from hicm.exports.html import view_of
from hicm.server.answers import JobId
from hicm.server.jobs import Jobs
from hicm.server.results import Version, stored
from hicm.viewer.content import Lane
from hicm.viewer.page import render, view_json

OWN, VIEWER = (files(package).joinpath("assets") for package in ("hicm.server", "hicm.viewer"))
ASSETS = {file.name: file.read_bytes() for file in [*OWN.iterdir(), VIEWER / "style" / "colours.css"]}


def routes(jobs: Jobs) -> APIRouter:
    """The page, the viewer of a job, and the description of the API."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    def start() -> Response:
        return asset("page.html")

    @router.get("/docs")
    def docs() -> Response:
        return asset("docs.html")

    @router.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404, "no such file")
        return Response(ASSETS[name], media_type=mimetypes.guess_type(name)[0])

    @router.get("/jobs/{job_id}")
    def viewer(job_id: JobId) -> Response:
        shown = _view(jobs, job_id)
        page = render([shown], shown["id"], ("← All jobs", "/"), ASSETS["requests.js"].decode())
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _policy(page)})

    @router.get("/jobs/{job_id}/view")
    def view(job_id: JobId, version: Version = "current") -> Response:
        """What the page of the job would show now, for a page that was opened before."""
        return Response(view_json(_view(jobs, job_id, version)), media_type="application/json")

    return router


def _view(jobs: Jobs, job_id: str, version: Version = "current") -> dict[str, Any]:
    """The JSON of a view, with the addresses to which corrections are saved and from which they are loaded.

    Both versions have the same lanes, so that a page can replace the events of one by those of the other.
    """
    found = stored(jobs, job_id, version)
    corrected = jobs.corrections(job_id).exists()
    shown = view_of(found.captioned, f"/api/jobs/{job_id}/video")
    if corrected and not found.captioned.speech:
        other = stored(jobs, job_id, "original" if version == "current" else "current")
        if other.captioned.speech:
            shown = replace(shown, lanes=(*shown.lanes, Lane("speech", "speech", ())))
    address = f"/jobs/{job_id}/view"
    return shown.to_json() | {"save": {
        "address": f"/api/jobs/{job_id}/result", "view": address, "etag": found.etag(),
        "original": f"{address}?version=original" if corrected else None}}


def _policy(page: str) -> str:
    """The policy of the viewer, which allows its inline scripts by their hashes."""
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert found, "the viewer has a policy"
    return f"{found[1]}; frame-ancestors 'none'"
