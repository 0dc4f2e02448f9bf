"""The browser of the viewer's tests."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.viewer.browser import Window, until
from tests.viewer.views import several


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser, or a skipped test."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'hicm[dev]'")
    program = os.environ.get("HICM_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        if program is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("needs Chromium: playwright install chromium, or the system's (HICM_CHROMIUM names it)")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


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
