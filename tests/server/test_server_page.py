"""The page in a browser: a real video is dropped, its stages are watched, its captions are opened."""

import signal
from pathlib import Path
from typing import Any

import pytest

from hicm.server.jobs import Jobs
from hicm.server.settings import Settings
from hicm.stages.build_memory import build_memory
from tests.memory_data import write_config
from tests.server.serving import OPTIONS, Server, serving, until
from tests.server.tiny_worker import marked
from tests.viewer.test_viewer_access import NAMELESS, PALE, faults

pytestmark = pytest.mark.browser

# Cells of tables that are higher than they are wide: their words are cut to pieces.
NARROW = """() => [...document.querySelectorAll('td')].filter((one) => one.clientHeight > 2 * one.clientWidth &&
    one.textContent).map((one) => one.textContent)"""
STATE = "document.querySelector('.job')?.dataset.state"
WATCH = """() => {
    window.seen = [];
    const note = () => {
        const found = document.querySelector('.job .detail')?.textContent;
        if (found && !window.seen.includes(found)) window.seen.push(found);
    };
    new MutationObserver(note).observe(document.getElementById('jobs'),
                                       {subtree: true, childList: true, characterData: true});
}"""
DROP = """async ([name, text]) => {
    const files = new DataTransfer();
    files.items.add(new File([Uint8Array.from(atob(text), (one) => one.charCodeAt(0))], name));
    for (const kind of ['dragover', 'drop']) {
        document.getElementById('drop').dispatchEvent(new DragEvent(kind, {dataTransfer: files, bubbles: true,
                                                                           cancelable: true}));
    }
}"""


class Visit:
    """The page of a server in a browser; it asks nobody else, and nothing goes wrong in it."""

    def __init__(self, chromium: Any, server: Server, **options: Any) -> None:
        self.server, self.complaints = server, list[str]()
        self.page = chromium.new_context(**options).new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda one: self.complaints.append(one.text) if one.type in ("error", "warning") and
                     "status of 4" not in one.text else None)
        self.page.on("request", lambda one: self.complaints.append(one.url) if not one.url.startswith(
            (f"http://127.0.0.1:{server.port}/", "blob:", "data:")) else None)
        self.page.goto(f"http://127.0.0.1:{server.port}/")
        self.page.locator("#limits:not(:empty)").wait_for()

    def close(self) -> None:
        self.page.context.close()
        assert self.complaints == []

    def until(self, condition: str) -> None:
        until(lambda: self.page.evaluate(condition) or self.page.wait_for_timeout(20))


@pytest.fixture
def tiny(chromium, server):
    visit = Visit(chromium, server)
    yield visit
    visit.close()


def test_a_real_video(chromium, shared: Path, tmp_path: Path):
    bank = build_memory(write_config(tmp_path, summariser="medoid"))
    options = OPTIONS | {"memory": str(bank), "encoder": "blocks:32", "cache": str(tmp_path / "cache"),
                         "overrides": ["recall.threshold=-1", "recall.penalty=0.5"]}
    with serving(tmp_path / "data", captioner=options, worker="hicm.server.worker") as server:
        visit = Visit(chromium, server)
        page = visit.page
        page.evaluate(WATCH)
        page.set_input_files("#files", shared / "real/videos/v2d_test_video.mp4")
        visit.until(f"{STATE} === 'done'")
        seen = "\n".join(page.evaluate("window.seen"))
        assert "Reading frames: " in seen and " of 2:03" in seen and "kept until" in seen, seen
        page.get_by_role("link", name="Open").click()
        page.locator(".viewer .transport").wait_for()
        visit.until("document.querySelector('video').readyState >= 2")
        assert page.locator(".viewer .title").inner_text() == "v2d_test_video"
        page.evaluate("document.querySelector('video').currentTime = 100")  # a range that is not loaded yet
        visit.until("!document.querySelector('video').seeking && document.querySelector('video').currentTime === 100")
        page.get_by_role("link", name="All jobs").click()
        page.get_by_role("link", name="Open v2d_test_video.mp4").wait_for()
        visit.close()


def test_a_drop_a_cancel_and_a_deletion(tiny, video):
    import base64

    page = tiny.page
    page.on("dialog", lambda dialog: dialog.accept())
    page.evaluate(DROP, ["<img src=x onerror=alert(1)>.mp4", base64.b64encode(marked(video, "wait")).decode()])
    page.get_by_text("Reading frames: 0:01 of 0:02").wait_for()
    assert page.locator(".job .name").inner_text() == "<img src=x onerror=alert(1)>.mp4"
    page.get_by_role("button", name="Cancel").click()
    tiny.until(f"{STATE} === 'cancelled'")
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("No jobs yet.").wait_for()
    page.evaluate(DROP, ["notes.txt", base64.b64encode(b"no video" * 1000).decode()])
    page.get_by_text("notes.txt: not a video, or incomplete").wait_for()
    page.get_by_role("button", name="Dismiss").click()
    page.set_input_files("#files", {"name": "big.mp4", "mimeType": "video/mp4", "buffer": bytes(2 << 20)})
    page.get_by_text("big.mp4 is larger than 1 MB, the limit of this server.").wait_for()
    assert not tiny.server.left()


ACTIVE = "document.activeElement.getAttribute('aria-label')"


def test_the_focus_stays_near_when_a_job_is_deleted_or_cancelled(tiny, video):
    page = tiny.page
    page.on("dialog", lambda dialog: dialog.accept())
    ids = [tiny.server.wait(tiny.server.submit(video, name))["id"] for name in ("a.mp4", "b.mp4", "c.mp4")]
    page.reload()
    page.get_by_role("button", name="Delete b.mp4").focus()
    page.keyboard.press("Enter")
    tiny.until(f"{ACTIVE} === 'Open a.mp4'")
    assert page.locator("#spoken").inner_text() == "b.mp4: deleted"
    page.get_by_label("Download a.mp4").focus()
    tiny.server.ask("DELETE", f"/api/jobs/{ids[2]}")  # in another window, the card above
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.locator(".job").nth(1).wait_for(state="detached")
    assert page.evaluate(ACTIVE) == "Download a.mp4"
    page.get_by_role("button", name="Delete a.mp4").focus()
    page.keyboard.press("Enter")
    tiny.until("document.activeElement.id === 'files'")
    tiny.server.submit(marked(video, "wait"), "d.mp4")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.get_by_role("button", name="Cancel d.mp4").focus()
    page.keyboard.press("Enter")
    tiny.until(f"{ACTIVE} === 'Delete d.mp4'")


def test_all_jobs_are_listed(chromium, tmp_path):
    """Also those beyond the hundred that the API lists by default; the running one may be the oldest."""
    jobs = Jobs(tmp_path / "data", Settings.keep)
    for number in range(120):
        job = jobs.add(jobs.new_upload(), f"{number}.mp4")
        jobs.change(job.id, state="failed", error="made up")
    with serving(tmp_path / "data") as server:
        visit = Visit(chromium, server)
        visit.until("document.querySelectorAll('.job').length === 120")
        visit.close()


def test_a_download_and_one_that_is_refused(tiny, video):
    page = tiny.page
    tiny.server.wait(tiny.server.submit(video, "my talk.mp4".replace(" ", "%20")))
    page.reload()
    with page.expect_download() as download:
        page.get_by_label("Download").select_option("srt")
    assert download.value.suggested_filename == "my talk.srt"
    page.get_by_label("Download").select_option("youtube")
    page.get_by_text("YouTube shows chapters only if there are").wait_for()


def test_an_unreachable_server_is_reported_until_it_answers(chromium, tmp_path):
    with serving(tmp_path / "data") as server:
        visit = Visit(chromium, server)
        server.stop(signal.SIGTERM)
        visit.page.get_by_text("The server does not answer").wait_for()
    with serving(tmp_path / "data", port=server.port):
        visit.page.locator("#notice").wait_for(state="hidden")
        visit.page.route("**/api/about", lambda route: route.abort())
        visit.page.reload()
        visit.page.get_by_text("The server does not answer").wait_for()
        visit.page.unroute("**/api/about")
        visit.page.locator("#limits:not(:empty)").wait_for()
        assert visit.page.locator("#notice").is_hidden()
        visit.page.context.close()


def test_jobs_have_distinct_accessible_names(tiny, video):
    for name in ("a.mp4", "b.mp4"):
        tiny.server.wait(tiny.server.submit(video, name))
    tiny.page.reload()
    tiny.page.locator(".job").nth(1).wait_for()
    heard = tiny.page.get_by_role("list").aria_snapshot()
    for name in ("a.mp4", "b.mp4"):
        assert all(f'{one} {name}"' in heard for one in ('link "Open', 'combobox "Download', 'button "Delete')), heard


@pytest.mark.parametrize("path", ["/", "/docs"])
@pytest.mark.parametrize("options", [
    {"color_scheme": "light"}, {"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}])
def test_everything_is_legible_and_has_a_name(chromium, server, video, path, options):
    server.wait(server.submit(video, "a" * 150))
    server.wait(server.submit(marked(video, "disk")))
    visit = Visit(chromium, server, **options)
    visit.page.goto(f"http://127.0.0.1:{server.port}{path}")
    visit.page.locator(".job, .route").nth(1).wait_for()
    assert faults(visit.page) == []
    assert visit.page.evaluate(PALE) == [] and visit.page.evaluate(NAMELESS) == []
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert visit.page.evaluate(NARROW) == []
    visit.close()
