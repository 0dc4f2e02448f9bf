"""Pages of the viewer in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.viewer.browser import Window, until
from tests.viewer.views import several


@pytest.fixture
def window(chromium: Any, tmp_path: Path) -> Iterator[Window]:
    found = Window(chromium, tmp_path)
    yield found
    for context in found.contexts:
        context.close()
    assert found.complaints == []
    assert [url for url in found.requests if not url.startswith(("file:", "blob:", "data:"))] == []


@pytest.fixture
def jump(window: Window, shared: Path) -> Any:
    """A page with a real video."""
    video = shared / "real" / "videos" / "women_long_jump.mp4"
    if not video.exists():
        pytest.skip("needs shared/real/videos")
    page = window.open(window.write([several(quote(str(video)), 35.155)]))
    until(page, "document.querySelector('video').readyState >= 2")
    return page
