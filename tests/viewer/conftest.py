"""The browser of the viewer's tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.viewer.browser import Window


@pytest.fixture
def window(chromium: Any, tmp_path: Path) -> Iterator[Window]:
    found = Window(chromium, tmp_path)
    yield found
    for context in found.contexts:
        context.close()
    assert found.complaints == []
    assert [url for url in found.requests if not url.startswith(("file:", "blob:", "data:"))] == []
