"""The viewer for those who do not use a mouse or see little, and how fast it draws an hour."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.viewer.views import event, hour, lane, several, view

pytestmark = pytest.mark.browser

# Texts whose contrast with what is behind them is below that of WCAG AA.
PALE = """() => {
    const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    const rgb = (colour) => {
        pen.clearRect(0, 0, 1, 1);
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        return [...pen.getImageData(0, 0, 1, 1).data];
    };
    const light = (colour) => {
        const [red, green, blue] = colour.slice(0, 3).map((one) => one / 255)
            .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const behind = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const colour = rgb(getComputedStyle(one).backgroundColor);
            if (colour[3] > 250) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !element.checkVisibility({visibilityProperty: true}) ||
            element.closest('script, noscript, :disabled, .status, .unseen')) continue;
        const style = getComputedStyle(element);
        const [one, other] = [light(rgb(style.color)), light(behind(element))].sort((a, b) => b - a);
        const large = parseFloat(style.fontSize) >= 24;
        const contrast = (one + 0.05) / (other + 0.05);
        if (contrast < (large ? 3 : 4.5)) found.push([element.className, walker.currentNode.data, contrast]);
    }
    return found;
}"""

# What can be operated and has no name.
NAMELESS = """() => [
    ...document.querySelectorAll('button, input, select, textarea, canvas, video, summary, dialog, [role]')]
    .filter((one) => one.checkVisibility() && one.getAttribute('aria-hidden') !== 'true' && one.role !== 'alert' &&
            one.role !== 'status')
    .filter((one) => !(one.getAttribute('aria-label') ?? one.textContent ?? '').trim()).map((one) => one.outerHTML)"""


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, window: Any) -> Any:
    """A page in one theme with an event chosen and a search under way, so that most parts are shown."""
    shown = window.open(window.write([several()]), color_scheme=request.param, reduced_motion="reduce")
    shown.locator(".events button", has_text="She runs").click()
    shown.locator(TEXT).fill("She runs, jumps")
    shown.get_by_label("Search in the text of events").fill("jump")
    return shown


TEXT = ".editor textarea"


def test_contrast_of_texts_and_accessible_names(page):
    assert page.evaluate(PALE) == []
    assert page.evaluate(NAMELESS) == []
    assert page.evaluate("getComputedStyle(document.querySelector('.status')).transitionDuration") == "0s"
    for name in ("Export", "Keys"):
        page.get_by_role("button", name=name, exact=True).click()
        assert page.evaluate(PALE) == [] and page.evaluate(NAMELESS) == []
        page.keyboard.press("Escape")


def test_contrast_of_events_on_the_timeline(page):
    for name in ["0", "1", "2", "3", "4", "5", "reference", "speech"]:
        page.evaluate("""(name) => {
            const probe = document.createElement('p');
            probe.className = 'probe';
            probe.textContent = name;
            probe.style.cssText = `color: var(--ink); background: var(--fill-${name})`;
            document.querySelector('.viewer').append(probe);
        }""", name)
    assert page.evaluate(PALE) == []


def test_texts_on_the_timeline_stay_within_their_events(window):
    page = window.open(window.write([view([lane([
        event(number * 5.0, number * 5.0 + 4.5, text) for number, text in enumerate([
            "WWWWWWWWWWWWWWW iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii", "plain words that are too many", "日本語の字幕" * 9,
            "مرحبا بالعالم " * 5, "😀" * 30, " \n blanks before it, as many captions of ActivityNet have"])])])]))
    assert page.evaluate("""() => {
        const {roundRect, fillText} = CanvasRenderingContext2D.prototype;
        const beyond = [];
        let right = 0;
        CanvasRenderingContext2D.prototype.roundRect = function (left, top, width, ...others) {
            right = left + width;
            return roundRect.call(this, left, top, width, ...others);
        };
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
            if (right && (x + this.measureText(text).width > right || text !== text.trim())) beyond.push(text);
            return fillText.call(this, text, x, y);
        };
        return new Promise((done) => {
            document.querySelector('.events button').click();
            requestAnimationFrame(() => requestAnimationFrame(() => done([right > 0, beyond])));
        });
    }""") == [True, []]


def test_all_events_are_printed(window):
    page = window.open(window.write([hour(60)]))
    page.emulate_media(media="print")
    events = page.locator(".events")
    assert events.evaluate("(one) => one.scrollHeight - one.clientHeight") <= 0
    assert page.locator(".tools, .transport, .find, .head button").locator("visible=true").count() == 0


def faults(page: Any) -> list[tuple[str, list[str]]]:
    """What axe-core finds wrong with a page, if HICM_AXE names its axe.min.js; nothing otherwise."""
    program = os.environ.get("HICM_AXE")
    if not program:
        return []
    page.evaluate(Path(program).read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in found["violations"]]


def test_axe_finds_nothing(page):
    if not os.environ.get("HICM_AXE"):
        pytest.skip("HICM_AXE does not name axe.min.js (npm pack axe-core)")
    assert faults(page) == []
    page.get_by_role("button", name="Export", exact=True).click()
    assert faults(page) == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keys", exact=True).click()
    assert faults(page) == []


def test_everything_is_reached_and_seen_with_the_keyboard(window):
    page = window.open(window.write([several()]))
    page.locator(".events button", has_text="She runs").click()
    page.locator(".title").click()
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outlined = page.evaluate("""() => {
            const one = document.activeElement;
            const style = getComputedStyle(one);
            return [one === document.body ? '' : one.getAttribute('aria-label') ?? one.textContent,
                    style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2];
        }""")
        if not name:
            break
        assert outlined, name
        seen.append(name)
    assert {"Export", "Play", "Add an event at the playhead", "Position in the video", "Search in the text of events",
            "Text of the event", "Delete",
            "Start at the playhead", "Zoom in"} <= set(seen)
    assert len(seen) < 45, "the list of events is one stop"
    page.locator(".events button", has_text="She runs").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator(TEXT).input_value() == "She lands in the sand"


def test_captions_are_announced_in_the_lane_in_use(window):
    page = window.open(window.write([several()]))
    live = ".captions [aria-live=polite]"
    assert page.locator(live).count() == 1
    page.locator(".events button", has_text="crowd").click()
    assert page.locator(live).inner_text() == "The crowd applauds."
    slider = page.get_by_role("slider", name="Position in the video")
    assert slider.get_attribute("aria-valuetext") == "13 seconds of 30 seconds"


@pytest.mark.parametrize("lanes", [0, 1], ids=["no lane", "no event"])
def test_a_view_may_be_empty(window, lanes):
    found = view([{"name": "captions", "kind": "prediction", "events": []}][:lanes], name="empty")
    page = window.open(window.write([found]))
    assert "no events" in page.locator(".empty-list").inner_text()
    for key in "les[]j":
        page.keyboard.type(key)
    page.get_by_role("button", name="Export", exact=True).click()
    page.locator("[data-format=srt]").click()


def test_an_hour_of_500_events_scrolls_and_zooms_smoothly(window):
    page = window.open(window.write([hour()]))
    canvas = page.locator(".tracks canvas")
    figure = """async (gesture) => {
        const canvas = document.querySelector('.tracks canvas');
        const box = canvas.getBoundingClientRect();
        const fire = (fields) => canvas.dispatchEvent(new WheelEvent('wheel', {bubbles: true, cancelable: true,
            clientX: box.left + box.width / 3, clientY: box.top + 20, ...fields}));
        for (let turn = 0; turn < 8; turn++) fire({ctrlKey: true, deltaY: gesture === 'scroll' ? -150 : 0});
        const times = [];
        let drawn = 0;
        for (const name of ['lanes', 'ruler']) {
            const draw = hicm.paint[name];
            hicm.paint[name] = (...given) => {
                const before = performance.now();
                const found = draw(...given);
                drawn += performance.now() - before;
                return found;
            };
        }
        await new Promise((done) => {
            let frame = 0;
            const step = (now) => {
                times.push(now);
                if (++frame > 180) return done();
                if (gesture === 'scroll') fire({deltaX: frame < 90 ? 25 : -25});
                else fire({ctrlKey: true, deltaY: frame < 90 ? -60 : 60});
                requestAnimationFrame(step);
            };
            requestAnimationFrame(step);
        });
        const lengths = times.slice(1).map((time, place) => time - times[place]).sort((one, other) => one - other);
        return {rate: 1000 * lengths.length / (times.at(-1) - times[0]),
                slow: lengths[Math.floor(lengths.length * 0.95)], drawn: drawn / times.length};
    }"""
    canvas.hover()
    for gesture in ("scroll", "zoom"):
        found = page.evaluate(figure, gesture)
        print(f"{gesture}: {found['rate']:.1f} frames a second, 95 % within {found['slow']:.1f} ms, "
              f"{found['drawn']:.2f} ms of each to draw")
        assert found["drawn"] < 8, "half of what 60 frames a second leave"
        assert found["rate"] > 10, "60 where nothing else runs; this machine may be shared"
