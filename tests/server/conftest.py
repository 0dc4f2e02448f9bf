import time
from collections.abc import Iterator

import pytest

from tests.server.serving import Server, serving
from tests.video.videos import write_video


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> bytes:
    """Two seconds of MP4."""
    return write_video(tmp_path_factory.mktemp("video") / "video.mp4", [0.0, 1.0], 2.0).read_bytes()


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "data", max_size=1 << 20) as found:
        yield found
        log = (found.data.with_name("server.log")).read_text()
        assert "ASGI" not in log and "asyncio" not in log, log


@pytest.fixture
def server(shared_server) -> Iterator[Server]:
    """A server for the tests that leave it as it was: no job, no file, and it answers."""
    yield shared_server
    for job in shared_server.ask("GET", "/api/jobs").json:
        assert shared_server.ask("DELETE", f"/api/jobs/{job['id']}").status == 204
    for _ in range(500):
        if not shared_server.left():
            break
        time.sleep(0.02)
    assert not shared_server.left()
