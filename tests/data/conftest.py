"""A hub and a mirror that hold made-up files of the released names."""

import dataclasses

import pytest

from hicm.data import catalogue
from hicm.data.catalogue import CATALOGUE
from hicm.data.hub import sources
from tests.hub_files import DATA, MODEL, content_of
from tests.hub_server import git, serve_hub


@pytest.fixture
def calm(monkeypatch, tmp_path):
    """No token of anybody's, no waiting between tries, small pieces, a memory whose blob id is that of the made-up."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    for name, items in CATALOGUE.items():
        monkeypatch.setitem(CATALOGUE, name, tuple(
            dataclasses.replace(item, git=git(content_of(item.target))) if item.git else item for item in items))


@pytest.fixture
def hub(calm, monkeypatch):
    files = {}
    for item in CATALOGUE["yc2"]:
        key = {"dataset": DATA, "model": MODEL}.get(item.host)
        files[key + item.path if key else f"/{item.repository}/{catalogue.MEMORY_REVISION}/{item.path}"] = \
            content_of(item.target)
    with serve_hub(files) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(sources, "GIT", server.url)
        yield server


@pytest.fixture
def mirror(calm, tmp_path):
    """A folder laid out like the authors' repositories."""
    folder = tmp_path / "mirror"
    for item in CATALOGUE["yc2"]:
        path = folder / item.target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content_of(item.target))
    return folder
