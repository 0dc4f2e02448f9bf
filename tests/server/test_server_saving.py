"""Corrections in the viewer of the server, in a browser: saved, reloaded, exported, and saved by two at once."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from hicm.exports import srt
from hicm.exports.json import parse
from tests.server.serving import Server, serving
from tests.viewer.browser import choose, until
from tests.viewer.test_viewer_access import NAMELESS, PALE
from tests.viewer.test_viewer_browser import TEXT, export

pytestmark = pytest.mark.browser

SALT = "salt & pepper"


class Desk:
    """Pages of the viewer of one job; nothing goes wrong in them, and they ask nobody but the server."""

    def __init__(self, chromium: Any, server: Server, video: bytes) -> None:
        self.chromium, self.server = chromium, server
        self.complaints: list[str] = []
        self.contexts: list[Any] = []
        self.job = server.wait(server.submit(video))["id"]
        self.path = f"/api/jobs/{self.job}/result"

    def open(self, context: Any = None, **options: Any) -> Any:
        if context is None:
            context = self.chromium.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
            self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda one: self.complaints.append(one.text) if one.type in ("error", "warning") and
                "Failed to load resource" not in one.text else None)
        home = f"http://127.0.0.1:{self.server.port}/"
        page.on("request", lambda one: self.complaints.append(one.url)
                if not one.url.startswith((home, "blob:", "data:")) else None)
        page.goto(f"{home}jobs/{self.job}")
        page.locator(".viewer .transport").wait_for()
        return page

    def saved(self) -> list[str]:
        """The sentences on the server."""
        return [event["sentence"] for event in self.server.ask("GET", self.path).json["events"]]

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        assert self.complaints == []


@pytest.fixture
def desk(chromium, server, video):
    found = Desk(chromium, server, video)
    yield found
    found.close()


def write(page: Any, text: str, of: str = SALT) -> None:
    choose(page, of)
    page.locator(TEXT).fill(text)


def said(page: Any, words: str) -> None:
    page.locator(".notice [role=status]", has_text=words).wait_for()


def test_corrections_are_saved_by_key_and_are_there_after_a_reload(desk):
    page = desk.open()
    write(page, "stirred")
    said(page, "Not saved, kept in this browser")
    page.keyboard.press("Control+s")
    said(page, "Saved")
    assert desk.saved()[1] == "stirred" and page.locator(".notice button:visible").count() == 0
    page.get_by_label("End (minutes and seconds)").fill("0:01.5")  # not left, so not applied yet
    page.keyboard.press("Meta+s")
    said(page, "Saved")
    until(page, "document.querySelector('.notice [role=status]').textContent === 'Saved'")
    result = desk.server.ask("GET", desk.path)
    assert result.json["events"][1]["end"] == 1.5 and result.json["made_by"]["corrected"]["saves"] == 2
    assert export(page, "json") == result.body, "with how it was made"
    page.reload()
    page.locator(".transport").wait_for()
    assert page.locator(".notice [role=status]").inner_text() == ""
    assert page.locator(".notice button:visible").count() == 0
    choose(page, "stirred")
    assert export(page, "json") == result.body
    assert export(page, "srt").decode() == srt.render(parse(result.body.decode(), Path("a.json")))
    page.keyboard.press("Control+s")
    page.locator(".status.shown", has_text="There are no edits to save.").wait_for()
    assert page.evaluate("localStorage.length") == 0


def test_the_history_goes_on_after_a_save(desk):
    page = desk.open()
    choose(page, SALT)
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Save", exact=True).click()
    said(page, "Saved")
    assert len(desk.saved()) == 1
    page.keyboard.press("Control+z")
    said(page, "Not saved")
    page.locator(".events button", has_text=SALT).wait_for()
    page.wait_for_timeout(400)  # until it is kept
    page.reload()
    said(page, "Unsaved edits")
    page.locator(".events button", has_text=SALT).wait_for()
    page.get_by_role("button", name="Discard edits").click()
    until(page, "document.querySelectorAll('.events li').length === 1")
    until(page, "document.activeElement.matches('.viewer')")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+s")
    said(page, "Saved")
    assert len(desk.saved()) == 2


def test_the_original_captions_come_back_as_an_edit(desk):
    page = desk.open()
    original, facts = page.get_by_role("button", name="Original captions"), page.locator(".head > .quiet")
    assert original.is_hidden(), "they are shown"
    choose(page, SALT)
    page.keyboard.press("Delete")
    until(page, "document.querySelector('.head > .quiet').textContent.endsWith('· 1 event')")
    page.keyboard.press("Control+s")
    said(page, "Saved")
    page.reload()
    original.focus()
    page.keyboard.press("Enter")
    page.locator(".status.shown", has_text="The original captions are shown; Ctrl Z brings the").wait_for()
    page.locator(".events button", has_text=SALT).wait_for()
    assert "2 events" in facts.inner_text()
    said(page, "Not saved")
    assert len(desk.saved()) == 1
    page.keyboard.press("Control+z")
    until(page, "document.querySelectorAll('.events li').length === 1")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+s")
    said(page, "Saved")
    assert len(desk.saved()) == 2


@pytest.mark.parametrize("choice", ["Load theirs", "Overwrite theirs"])
def test_of_two_that_save_the_second_chooses(desk, choice):
    one, other = desk.open(), desk.open()  # two people: neither knows of the other
    write(one, "by one")
    write(other, "by the other")
    one.keyboard.press("Control+s")
    said(one, "Saved")
    other.keyboard.press("Control+s")
    said(other, "Somebody else or another tab has saved since. Yours are not saved.")
    assert desk.saved()[1] == "by one"
    other.keyboard.press("Escape")
    other.get_by_role("button", name=choice).focus()
    other.keyboard.press("Enter")
    if choice == "Load theirs":
        other.locator(".events button", has_text="by one").wait_for()
        assert other.locator(".notice [role=status]").inner_text() == ""
        until(other, "document.activeElement.matches('.viewer')")
        other.keyboard.press("Control+z")
        other.locator(".events button", has_text="by the other").wait_for()
        other.keyboard.press("Control+s")
    said(other, "Saved")
    assert desk.saved()[1] == "by the other"
    one.reload()
    one.locator(".events button", has_text="by the other").wait_for()


def test_two_tabs_of_one_browser(desk):
    one = desk.open()
    other = desk.open(one.context)
    write(one, "by one")
    other.get_by_text("also edited in another tab").wait_for()
    one.keyboard.press("Control+s")
    said(other, "Somebody else or another tab has saved since.")
    assert other.get_by_role("button", name="Overwrite theirs").is_hidden()
    write(other, "too late", "seen by")
    said(other, "Yours are not saved.")
    other.wait_for_timeout(400)  # until it is kept
    other.reload()
    said(other, "Yours are not saved.")
    other.locator(".events button", has_text="too late").wait_for()
    other.get_by_role("button", name="Load theirs").click()
    other.locator(".events button", has_text="by one").wait_for()
    for page in (one, other):
        page.reload()
        page.locator(".events button", has_text="by one").wait_for()
        assert page.locator(".notice [role=status]").inner_text() == ""


def test_a_server_that_has_gone_loses_nothing(chromium, tmp_path, video):
    with serving(tmp_path / "data") as server:
        desk = Desk(chromium, server, video)
        page = desk.open()
        write(page, "while it was there")
        server.stop(signal.SIGTERM)
        page.keyboard.press("Control+s")
        said(page, "Not saved: the server does not answer. Your edits stay in this browser.")
        assert "while it was there" in export(page, "srt").decode()
    with serving(tmp_path / "data", port=server.port) as server:
        desk.server = server
        page.reload()
        page.locator(".events button", has_text="while it was there").wait_for()
        page.keyboard.press("Control+s")
        said(page, "Saved")
        assert desk.saved()[1] == "while it was there"
        server.ask("DELETE", f"/api/jobs/{desk.job}")
        write(page, "after it was removed", "while it was there")
        page.keyboard.press("Control+s")
        said(page, "Not saved: no such job; it may have been removed. Your edits stay in this browser.")
        desk.close()


def test_wrong_times_are_not_passed_over(desk):
    page = desk.open()
    write(page, "stirred")
    page.get_by_label("End (minutes and seconds)").fill("soon")
    page.keyboard.press("Control+s")
    said(page, "Not saved: Write times as 12.5")
    assert desk.saved()[1] != "stirred"


def test_saving_is_announced_and_the_key_is_told(desk):
    page = desk.open()
    button = page.get_by_role("button", name="Save", exact=True)
    assert button.get_attribute("aria-keyshortcuts") == "Control+S Meta+S"
    assert button.get_attribute("title") == "Save (Ctrl S)"
    live = page.locator(".notice [role=status]")
    assert live.evaluate("(one) => one.checkVisibility()"), "it is there before it says anything"
    page.keyboard.press("?")
    assert "save" in page.get_by_role("dialog", name="Keys").inner_text().split("\n")
    page.keyboard.press("Control+s")  # no dialog of the browser
    page.keyboard.press("Escape")
    write(page, "stirred")
    page.keyboard.press("Tab")
    button.focus()
    page.keyboard.press("Enter")
    said(page, "Saved")
    assert page.evaluate("document.activeElement.textContent") == "Save"
    assert "status: Saved" in page.locator(".notice").aria_snapshot()


@pytest.mark.parametrize("options", [
    {"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}])
def test_every_state_is_legible(desk, options):
    page = desk.open(**options)

    def check() -> None:
        assert page.evaluate(PALE) == [] and page.evaluate(NAMELESS) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    check()
    write(page, "stirred")
    check()
    etag = desk.server.ask("GET", desk.path).headers["etag"]
    assert desk.server.ask("PUT", desk.path, json.dumps({"events": []}), If_Match=etag).status == 200
    page.keyboard.press("Control+s")
    said(page, "Yours are not saved.")
    check()
    if page.viewport_size["width"] < 760:
        page.locator(".status.shown", has_text="Yours are not saved.").wait_for()  # what says so is not in view
    page.get_by_role("button", name="Overwrite theirs").click()
    said(page, "Saved")
    check()


def test_a_page_from_disk_neither_saves_nor_asks(desk, chromium, tmp_path):
    (tmp_path / "talk.html").write_bytes(desk.server.ask("GET", f"{desk.path}?format=html").body)
    context = chromium.new_context()
    desk.contexts.append(context)
    page, asked = context.new_page(), list[str]()
    page.on("request", lambda one: asked.append(one.url))
    page.goto((tmp_path / "talk.html").as_uri())
    page.locator(".transport").wait_for()
    assert page.get_by_role("button", name="Save").count() == 0
    write(page, "stirred")
    page.keyboard.press("Control+s")
    page.locator(".notice", has_text="Edited, kept in this browser").wait_for()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("""(port) => fetch(`http://127.0.0.1:${port}/`).then(() => "answered", () => "refused")""",
                         desk.server.port) == "refused"
    assert desk.saved()[1] == "<b>salt & pepper</b>"
