"""The files of the page, read once; nothing else is served from disk by its name."""

import mimetypes
from importlib.resources import files

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

ASSETS = {file.name: file.read_bytes() for file in files("hicm.server").joinpath("assets").iterdir() if file.is_file()}

router = APIRouter(include_in_schema=False)


@router.get("/")
def start() -> Response:
    """Where videos are dropped."""
    return asset("page.html")


@router.get("/docs")
def docs() -> Response:
    """The API for people, from /openapi.json."""
    return asset("docs.html")


@router.get("/assets/{name}")
def asset(name: str) -> Response:
    """A script, style sheet or picture."""
    if name not in ASSETS:
        raise HTTPException(404, "no such file")
    return Response(ASSETS[name], media_type=mimetypes.guess_type(name)[0])
