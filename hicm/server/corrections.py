"""Saves captions that a user has corrected, beside those of the captioner, which stay as they are."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request, Response
from starlette.requests import ClientDisconnect

from hicm import __version__
from hicm.errors import UserError
from hicm.exports import OWN, Captioned, text_of
from hicm.exports.json import in_order, lists_of
from hicm.files import write_text
from hicm.provenance import now
from hicm.server.answers import MISSING, JobId, refusals
from hicm.server.guard import LARGEST
from hicm.server.jobs import Job, Jobs
from hicm.server.results import BESIDE, Stored, check_done, digest_of, stored
from hicm.server.settings import Settings
from hicm.server.uploads import chunks
from hicm.types import Event
from hicm.viewer.content import GRACE

EVENT = {"type": "object", "required": ["start", "end", "sentence"], "properties": {
    "start": {"type": "number", "description": "seconds"}, "end": {"type": "number", "description": "seconds"},
    "sentence": {"type": "string"}, "score": {"type": "number"}, "level": {"type": "integer"}}}
SEGMENT = {"type": "object", "required": ["start", "end", "text"], "properties": {
    "start": {"type": "number"}, "end": {"type": "number"}, "text": {"type": "string"}}}
BODY = {"required": True, "description": "the captions in the json format; only events and, if given, speech are taken",
        "content": {"application/json": {"schema": {"type": "object", "required": ["events"], "properties": {
            "events": {"type": "array", "items": EVENT}, "speech": {"type": "array", "items": SEGMENT}}}}}}
IfMatch = Annotated[str | None, Header(alias="If-Match", description="the ETag of the captions that were corrected, as "
                                                                     "the GET of the json format gives it; *: any")]


def routes(jobs: Jobs, settings: Settings) -> APIRouter:
    """The route that saves."""
    router = APIRouter()

    @router.put("/{job_id}/result", summary="Save corrected captions", openapi_extra={"requestBody": BODY},
                responses=refusals(MISSING | {400: "The body is not JSON", 408: "The body stalled",
                                              409: "The job is not done", 412: "Somebody else has saved since",
                                              413: "The body is too large", 422: "Not captions of this video",
                                              428: "If-Match is missing", 507: "The disk is full"}))
    async def save(request: Request, response: Response, job_id: JobId, if_match: IfMatch = None) -> Job:
        """From then on, all formats are made from these captions. Send the ETag of the answer with the next save. The
        captioner's own captions are kept: GET with version=original."""
        check_done(jobs, job_id)
        if if_match is None:
            raise HTTPException(428, "the request has no If-Match header; send the ETag of the captions that were "
                                     "corrected")
        body = await _body(request, settings)
        async with jobs.lock:  # one body at a time is parsed: it becomes many times as large
            saved = await asyncio.to_thread(_save, jobs, job_id, body, if_match)
            job = jobs.corrected(job_id, len(saved.captioned.events))
        response.headers["ETag"] = saved.etag()
        return job

    return router


def _save(jobs: Jobs, job_id: str, body: bytes, if_match: str) -> Stored:
    """Check a body and write its captions.  Raises HTTPException, and changes nothing then."""
    events, speech = _lists(body)
    before = stored(jobs, job_id)
    _check_match(if_match, before)
    return _write(jobs, job_id, before, events, speech)


async def _body(request: Request, settings: Settings) -> bytes:
    """The body, at most LARGEST bytes of it.  Raises HTTPException: 400 dropped, 408 stalled, 413 too large."""
    found = bytearray()
    try:
        async for chunk in chunks(request, settings):
            found += chunk
            if len(found) > LARGEST:
                raise HTTPException(413, f"the body is larger than {LARGEST} bytes")
    except ClientDisconnect as error:  # nobody reads the answer
        raise HTTPException(400, "the connection was dropped") from error
    return bytes(found)


def _lists(body: bytes) -> tuple[list[Event], list[Event] | None]:
    """The events and, if given, the speech of a body.  Raises HTTPException: 400 not json, 422 anything else."""
    try:
        content = json.loads(body)
    except json.JSONDecodeError as error:
        raise HTTPException(400, f"the body is not valid JSON ({error})") from error
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, "the body is not JSON in UTF-8, or it is nested too deeply, or has a number of "
                                 "thousands of digits") from error
    try:
        return lists_of(content)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error


def _check_match(if_match: str, before: Stored) -> None:
    """Raises HTTPException 412 unless the header names the captions that are stored now."""
    if not {"*", before.etag()} & {tag.strip() for tag in if_match.split(",")}:
        raise HTTPException(412, "somebody else has saved since; get the result again, or send its present ETag to "
                                 "overwrite it")


def _write(jobs: Jobs, job_id: str, before: Stored, events: Sequence[Event], speech: Sequence[Event] | None) -> Stored:
    """Write corrected captions and how they came about; returns them.

    Raises HTTPException: 422 beyond the video, 507 disk full.
    """
    found = before.captioned
    _check_within(found, "event", events, found.events)
    _check_within(found, "speech", speech or (), found.speech)
    corrected = replace(found, events=in_order(events), speech=found.speech if speech is None else in_order(speech),
                        about=found.about | {"corrected": _record(before)})
    text = text_of(corrected, BESIDE, OWN)
    try:
        write_text(jobs.corrections(job_id), text)
    except UserError as error:
        raise HTTPException(507, "the server's disk is full or cannot be written; the captions are as they were "
                                 "before") from error
    return Stored(corrected, digest_of(text))


def _check_within(found: Captioned, what: str, events: Sequence[Event], before: Sequence[Event]) -> None:
    """Raises HTTPException 422 for an event that ends after the video, unless it did so before."""
    known = {event.span for event in before}
    for number, event in enumerate(events, start=1):
        if event.span.end > found.duration + GRACE and event.span not in known:
            raise HTTPException(422, f"{what} {number}: ends at {event.span.end:g} s, but the video ends at "
                                     f"{found.duration:g} s")


def _record(before: Stored) -> dict[str, Any]:
    """How corrected captions came about, kept in their ``made_by``; ``before`` a first save are the captioner's own."""
    earlier, time = before.captioned.about.get("corrected", {}), now()
    original = earlier.get("original") or before.digest
    return {"by": "hand", "with": f"hicm serve {__version__}", "first": earlier.get("first", time), "last": time,
            "saves": earlier.get("saves", 0) + 1, "original": original}
