"""Chromium with the viewer in it.  Every page must be quiet: no console errors, and no requests but for itself."""

import time
from pathlib import Path
from typing import Any

from hicm.viewer.page import render


class Window:
    """Pages of one browser, and what they asked for and complained about."""

    def __init__(self, browser: Any, folder: Path) -> None:
        self.browser, self.folder = browser, folder
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.contexts: list[Any] = []

    def write(self, views: list[dict[str, Any]], name: str = "page") -> str:
        """Write a page; returns its address."""
        path = self.folder / f"{name}.html"
        path.write_text(render(views, "made up"), encoding="utf-8")
        return path.as_uri()

    def open(self, address: str, context: Any = None, **options: Any) -> Any:
        """A page of its own context, or of a given one, with the viewer set up."""
        if context is None:
            context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
            self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning")
                else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(address)
        page.locator(".viewer .transport").first.wait_for()
        return page


def until(page: Any, condition: str, seconds: float = 15.0) -> None:
    """Wait for a condition.  Playwright's own way is an ``eval``, which the policy of the page refuses."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"never: {condition}"
        page.wait_for_timeout(30)


def choose(page: Any, text: str) -> None:
    """Click the first event with this text in the list."""
    page.locator(".events button", has_text=text).first.click()


def seconds(page: Any) -> float:
    """The time of the playhead."""
    minutes, rest = page.locator(".transport .now").inner_text().split(":")
    return int(minutes) * 60 + float(rest)
