"""Fixtures that many tests share."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# MKL rounds differently from processor to processor, which deep networks amplify beyond the tolerances of golden files.
# Set before torch is loaded, also for the processes that tests start.
os.environ.setdefault("MKL_CBWR", "AVX2")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell without job control starts what is in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("hicm", deadline=None)  # a loaded machine is no reason to fail
settings.load_profile("hicm")

# Two files of this name, each read for docstring examples, would be one module to pytest.
collect_ignore_glob = ["conftest.py", "*/conftest.py"]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real annotations and golden files that may not be committed: the folder ``shared`` beside the checkout."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("needs the folder 'shared' (real annotations, golden files) beside the checkout")
    return path


@pytest.fixture(scope="session")
def golden() -> Path:
    """Committed golden files: made-up text, outputs of the reference implementations."""
    return ROOT / "tests" / "golden"


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports whose pictures are empty, since drawing takes most of the time."""
    from hicm.files import atomic
    from hicm.report import page

    def save(figure: Any, path: Path | None, about: str) -> bytes:
        if path is not None:
            with atomic(path):
                pass
        return b""

    monkeypatch.setattr(page, "save", save)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser, or a skipped test.  There is one for all tests: Playwright starts once per process."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'hicm[dev]'")
    program = os.environ.get("HICM_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        if program is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip("needs Chromium: playwright install chromium, or the system's (HICM_CHROMIUM names it)")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
