"""The viewer in a browser: edits and exports, with keys, mouse and fingers, and whatever captions may hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from hicm.exports import Captioned, Picture, srt, youtube
from hicm.exports import json as own
from hicm.types import Event, RecalledNode, RecalledPart, Span
from tests.viewer.browser import choose, until
from tests.viewer.views import MARKUP, event, hour, lane, several, view

pytestmark = pytest.mark.browser

NOW = ".transport .now"
TEXT = ".editor textarea"


def expected(found: dict[str, Any], events: list[dict[str, Any]]) -> Captioned:
    """What Python holds for a view whose first lane has these events, with what was said and recalled."""
    first, *others = found["lanes"]
    said = [event for lane in others if lane["kind"] == "speech" for event in lane["events"]]
    events, speech = (tuple(Event(Span(one["start"], one["end"]), one["text"], one["score"], one["level"])
                            for one in given) for given in (events, said))
    return Captioned(found["id"], found["source"], found["duration"], events, found["made_by"],
                     Picture(found["picture"]["frame_rate"], tuple(found["picture"]["size"]), True), speech,
                     tuple(RecalledPart(Span(one["start"], one["end"]), tuple(map(recalled, one["nodes"])))
                           for one in first["recalled"]))


def recalled(node: dict[str, Any]) -> RecalledNode:
    return RecalledNode(**node | {"below": tuple(map(recalled, node["below"]))})


def export(page: Any, name: str, lane: str = "") -> bytes:
    """The bytes of a downloaded file."""
    page.get_by_role("button", name="Export", exact=True).click()
    if lane:
        page.get_by_label("Lane to export").select_option(label=lane)
    with page.expect_download() as download:
        page.locator(f"[data-format={name}]").click()
    return Path(download.value.path()).read_bytes()


def test_a_boundary_is_dragged_to_frames_undone_and_exported(jump):
    choose(jump, "She runs and jumps")
    canvas = jump.locator(".tracks canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x = [box["x"] + time / 35.155 * box["width"] for time in (14.0, 16.5)]
    y = box["y"] + 26 * 1.5
    jump.mouse.move(x[0], y)
    jump.mouse.down()
    jump.mouse.move(x[0] + 20, y, steps=4)
    jump.mouse.move(x[1], y, steps=4)
    jump.mouse.up()
    end = jump.get_by_label("End (minutes and seconds)")
    moved = float(end.input_value().split(":")[1])
    assert moved == pytest.approx(16.5, abs=0.15) and moved * 25 == pytest.approx(round(moved * 25)), "on a frame"
    found = several(None, 35.155)
    events = [dict(one) for one in found["lanes"][0]["events"]]
    events[2]["end"] = moved
    assert own.render(expected(found, events)).encode() == export(jump, "json")
    assert srt.render(expected(found, events)).encode() == export(jump, "srt")
    jump.keyboard.press("Escape")
    jump.keyboard.press("Control+z")
    assert end.input_value() == "0:14", "a drag is one step"
    jump.keyboard.press("Control+Shift+z")
    assert float(end.input_value().split(":")[1]) == moved


def test_what_is_typed_is_kept_over_a_reload_until_discarded(window, tmp_path):
    found = several()
    page = window.open(window.write([found]))
    choose(page, "She gets ready")
    page.locator(TEXT).fill("She waits – “now” 😀")
    page.get_by_label("Start (minutes and seconds)").fill("0:01.52")
    page.keyboard.press("Enter")
    choose(page, "a person is jumping")
    page.keyboard.press("Delete")
    assert "kept in this browser" in page.locator(".notice").inner_text()
    page.reload()
    assert "restored" in page.locator(".notice").inner_text()
    choose(page, "She waits")
    assert page.get_by_label("Start (minutes and seconds)").input_value() == "0:01.52"
    assert page.locator(".events li").count() == 7
    events = [dict(one) for one in found["lanes"][0]["events"]]
    events[1] |= {"text": "She waits – “now” 😀", "start": 1.52}
    (tmp_path / "back.json").write_bytes(export(page, "json"))
    back = own.read(tmp_path / "back.json")
    assert vars(back) == vars(expected(found, events)), "nothing is lost on the way"
    assert export(page, "csv", "baseline").decode().count("\n") == 1, "the header alone"
    page.get_by_role("button", name="Discard edits").click()
    assert page.locator(".notice").is_hidden() and page.locator(".events li").count() == 8
    page.reload()
    assert page.locator(".notice").is_hidden() and "She gets ready" in page.locator(".events").inner_text()


def test_edits_of_another_tab_are_offered(window):
    address = window.write([several()])
    one = window.open(address)
    other = window.open(address, one.context)
    choose(other, "She gets ready")
    other.locator(TEXT).fill("from the other tab")
    one.get_by_text("also edited in another tab").wait_for()
    one.get_by_role("button", name="Load them").click()
    one.locator(".events button", has_text="from the other tab").wait_for()
    one.keyboard.press("Control+z")
    one.locator(".events button", has_text="She gets ready").wait_for()


def test_edits_that_another_tab_replaced_are_not_lost(window):
    address = window.write([several()])
    one = window.open(address)
    other = window.open(address, one.context)
    for page, text in [(one, "from one"), (other, "from the other")]:
        choose(page, "She gets ready" if page is one else "A long jump")
        page.locator(TEXT).fill(text)
        page.locator(".events button", has_text=text).wait_for()
        page.wait_for_timeout(500)  # until it is kept
    asked: list[str] = []
    one.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    one.close(run_before_unload=True)
    one.wait_for_timeout(300)
    assert asked == ["beforeunload"] and not one.is_closed()
    other.get_by_role("button", name="Load them").click()  # what was there before this tab replaced it
    other.locator(".events button", has_text="from one").wait_for()
    one.locator(".notice", has_text="kept in this browser").wait_for()
    one.get_by_role("button", name="Discard edits").click()
    other.wait_for_timeout(300)
    other.reload()
    other.locator(".events button", has_text="from one").wait_for()


def test_the_focus_stays_in_the_list_when_an_event_is_deleted(window):
    page = window.open(window.write([several()]))
    choose(page, "She runs and jumps")
    page.keyboard.press("Delete")
    until(page, "document.activeElement.closest('.events li')?.textContent.includes('She lands')")


def test_missing_storage_is_reported(window):
    context = window.browser.new_context()
    window.contexts.append(context)
    context.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('refused'); }})")
    page = window.open(window.write([several()]), context)
    choose(page, "She gets ready")
    page.locator(TEXT).fill("changed")
    page.locator(".notice.warn").wait_for()
    assert "does not keep edits" in page.locator(".notice").inner_text()
    assert b"changed" in export(page, "vtt")


def test_events_are_added_split_merged_and_wrong_times_refused(window):
    page = window.open(window.write([several()]))
    page.get_by_role("slider").evaluate("(one) => { one.value = 21; one.dispatchEvent(new Event('input')); }")
    page.keyboard.press("n")
    page.keyboard.type("New one")
    page.keyboard.press("Escape")
    assert page.locator(TEXT).input_value() == "New one"
    assert page.get_by_label("Start (minutes and seconds)").input_value() == "0:21"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.get_by_role("slider").evaluate("(one) => { one.value = 23; one.dispatchEvent(new Event('input')); }")
    page.keyboard.press("s")
    until(page, "[...document.querySelectorAll('.events button')].filter("
                "(one) => one.textContent.includes('New one')).length === 2")
    page.keyboard.press("[")
    choose(page, "New one")
    page.keyboard.press("j")
    until(page, "document.querySelectorAll('.events li').length === 9")
    assert page.locator(".events button", has_text="New one").count() == 1
    end = page.get_by_label("End (minutes and seconds)")
    for wrong, words in [("0:10", "after the start"), ("9:00", "video ends at 0:30"), ("soon", "Write times"),
                         ("1:75", "Write times")]:
        end.fill(wrong)
        page.keyboard.press("Enter")
        assert words in page.locator(".editor .fault").inner_text() and end.get_attribute("aria-invalid") == "true"
    end.fill("25.5")
    page.keyboard.press("Enter")
    assert page.locator(".editor .fault").inner_text() == "" and end.input_value() == "0:25.5"
    page.keyboard.press("ArrowUp")
    assert end.input_value() == "0:25.52", "the next frame"
    page.keyboard.press("Escape")
    for _ in range(20):
        page.keyboard.press("Control+z")
    assert "New one" not in page.locator(".events").inner_text() and page.locator(".notice").is_hidden()


def test_search_marks_all_lanes_and_goes_through_the_matches(window):
    page = window.open(window.write([several()]))
    page.keyboard.press("/")
    page.keyboard.type("JUMP")
    assert page.locator(".events li:visible").count() == 4
    assert {text.lower() for text in page.locator(".events mark").all_inner_texts()} == {"jump"}
    places = []
    for key in ["Enter", "Enter", "Shift+Enter"]:
        page.keyboard.press(key)
        places.append(page.locator(".find .count").inner_text())
    assert places == ["1 of 4", "2 of 4", "1 of 4"]
    page.get_by_label("Search in the text of events").fill("[")
    assert page.locator(".events li:visible").count() == 0
    assert "No event" in page.locator(".empty-list").inner_text()
    page.get_by_label("Search in the text of events").fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys").is_visible()
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog", name="Keys").is_hidden()


def test_a_search_of_thousands_of_events_is_fast(window):
    """It takes half a minute where rows are list items, or the tab index of each is set."""
    page = window.open(window.write([hour(4000)]))
    page.locator(".events button").first.click()
    seconds = page.evaluate("""() => {
        const field = document.querySelector('.find input'), begun = performance.now();
        field.value = 'onion';
        field.dispatchEvent(new Event('input', {bubbles: true}));
        document.querySelector('.events').offsetHeight;  // forces the layout
        return (performance.now() - begun) / 1000;
    }""")
    assert seconds < 6
    assert page.locator(".events li[hidden]").first.is_hidden()
    assert page.locator(".find .count").inner_text().endswith(" found")


def test_a_search_touches_only_rows_that_change(window):
    page = window.open(window.write([hour(60)]))
    page.locator(".events button").first.click()
    page.evaluate("""() => {
        window.touched = [];
        new MutationObserver((all) => window.touched.push(...all.map((one) => one.attributeName))).observe(
            document.querySelector('.events'), {subtree: true, attributeFilter: ['tabindex', 'aria-pressed']});
    }""")
    page.get_by_label("Search in the text of events").fill("onion")
    until(page, "document.querySelector('.events li').hidden")
    assert page.evaluate("window.touched").count("tabindex") <= 2
    assert page.locator(".events [tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    until(page, "document.querySelectorAll('.events [aria-pressed=true]').length === 1")
    assert len(page.evaluate("window.touched")) <= 6


def test_the_number_of_events_follows_edits(window):
    page = window.open(window.write([several()]))
    facts = page.locator(".head > .quiet")
    assert "8 events" in facts.inner_text()
    page.locator(".events button", has_text="crowd").click()
    page.keyboard.press("Delete")
    until(page, "document.querySelector('.head > .quiet').textContent.includes(' 7 events ')")
    page.keyboard.press("Control+z")
    until(page, "document.querySelector('.head > .quiet').textContent.includes(' 8 events ')")


def test_the_memory_of_the_chosen_event_is_shown(window):
    page = window.open(window.write([several()]))
    choose(page, "She runs and jumps")
    memory = page.locator(".memory")
    assert "she lands in the sand" in memory.inner_text() and "0.42" in memory.inner_text()
    choose(page, "a person is jumping")
    assert "Nothing was recalled" in memory.inner_text()


def test_captions_are_text_whatever_they_hold(window):
    events = [event(number, number + 1.5, text) for number, text in enumerate(MARKUP)]
    recalled = [{"start": 0.0, "end": 30.0, "nodes": [
        {"level": 0, "text": text, "score": 0.5, "source": text, "replaced": text, "more": 0, "below": []}
        for text in MARKUP]}]
    found = view([lane(events, MARKUP[1], recalled=recalled)], name=MARKUP[2], source=MARKUP[4],
                 made_by={"x": MARKUP[2]})
    page = window.open(window.write([found]))
    shown = page.locator(".events .text").all_text_contents()
    assert shown == [text.replace("\ud800", "\ufffd") for text in MARKUP] or shown == MARKUP
    for place, text in enumerate(MARKUP):
        if place:
            page.keyboard.press("]")
        else:
            choose(page, text)
        assert page.locator(TEXT).input_value() == text or "\ud800" in text
    for tag in ("b", "i", "u", "img", "svg:not([aria-hidden])"):
        assert page.locator(f".events {tag}, .captions {tag}, .memory {tag}, .title {tag}").count() == 0
    assert page.locator(".title").inner_text() == MARKUP[2]
    assert page.evaluate("window.hacked") is None
    assert json.loads(export(page, "json"))["made_by"] == {"x": MARKUP[2]}
    assert page.evaluate("""() => new Promise((resolve) => {
        const element = document.createElement('script');
        element.textContent = 'window.hacked = 6';
        document.addEventListener('securitypolicyviolation', () => resolve(window.hacked ?? 'refused'));
        document.body.append(element);
    })""") == "refused", "the policy refuses any other script"
    window.complaints = [text for text in window.complaints if "Content Security Policy" not in text]


def test_several_viewers_do_not_disturb_one_another(window):
    other = view([lane([event(1.0, 4.0, "Second video"), event(5.0, 9.0, "Later")])], 20.0, name="second")
    page = window.open(f"{window.write([several(), other])}#view=2&t=2.5")
    one, two = page.locator(".viewer").all()
    assert two.locator(NOW).inner_text() == "0:02.50" and one.locator(NOW).inner_text() == "0:00.00"
    page.keyboard.press("ArrowRight")
    assert two.locator(NOW).inner_text() == "0:02.50", "no viewer was used yet"
    two.locator(".events button").first.click()
    page.keyboard.press("]")
    page.keyboard.press("e")
    page.keyboard.type("Changed")
    two.locator(".events button", has_text="Changed").wait_for()
    assert two.locator(".events").inner_text().count("Changed") == 1 and "Changed" not in one.inner_text()
    assert page.evaluate("document.querySelectorAll('[id]').length") == 0
    page.evaluate("location.hash = '#view=1&t=0:03.25'")
    until(page, "document.querySelector('.transport .now').textContent === '0:03.25'")


def test_a_link_to_the_time_is_in_the_address_bar(window):
    page = window.open(f"{window.write([several()])}#t=12.5")
    assert page.locator(NOW).inner_text() == "0:12.50"
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="Copy a link to this time").click()
    until(page, "location.hash === '#t=17.5'")
    page.locator(".status.shown").wait_for()


def test_refused_formats_say_why(window):
    found = view([lane([event(1.0, 4.0, "One")])], 20.0)
    page = window.open(window.write([found]))
    page.get_by_role("button", name="Export", exact=True).click()
    page.locator("[data-format=youtube]").click()
    with pytest.raises(Exception, match="three or more") as refused:
        youtube.render(expected(found, found["lanes"][0]["events"]))
    assert str(refused.value) in page.locator(".export .fault").inner_text()


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_nothing_is_wider_than_the_window(window, width):
    page = window.open(window.write([several(), hour(60)]), viewport={"width": width, "height": 800})
    choose(page, "She runs and jumps")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Export", exact=True).first.click()
    box = page.get_by_role("dialog").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


def test_touch_scrolls_and_pinch_zooms_the_timeline(window):
    page = window.open(window.write([hour()]), viewport={"width": 390, "height": 800}, has_touch=True)
    canvas = page.locator(".tracks canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    devtools = page.context.new_cdp_session(page)

    def touch(kind: str, *points: float) -> None:
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [
            {"x": box["x"] + x, "y": box["y"] + 40, "id": number} for number, x in enumerate(points)]})

    touch("touchStart", 150, 200)
    for apart in range(0, 100, 20):
        touch("touchMove", 150 - apart, 200 + apart)
    touch("touchEnd")
    until(page, "parseFloat(document.querySelector('.map .window').style.width) < 60")
    before = page.evaluate("document.querySelector('.map .window').style.left")
    touch("touchStart", 300)
    for x in range(300, 100, -40):
        touch("touchMove", x)
    touch("touchEnd")
    until(page, f"document.querySelector('.map .window').style.left !== '{before}'")
    assert page.locator(".notice").is_hidden(), "nothing was edited"
