import pytest

from tests.server.serving import Server, serving
from tests.video.videos import write_video


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> bytes:
    """Two seconds of MP4."""
    return write_video(tmp_path_factory.mktemp("video") / "video.mp4", [0.0, 1.0], 2.0).read_bytes()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Server:
    """One server for the tests that leave it as it was."""
    with serving(tmp_path_factory.mktemp("server") / "data", max_size=1 << 20, idle=0.5) as found:
        yield found
        log = (found.data.with_name("server.log")).read_text()
        assert "Traceback" not in log, log
