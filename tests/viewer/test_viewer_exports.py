"""The exports of the viewer are byte for byte those of ``hicm/exports``: made-up events, nasty strings, odd times."""

import json
import random
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hicm import exports
from hicm.errors import Refused
from hicm.exports import Captioned, Picture
from hicm.types import Event, RecalledNode, RecalledPart, Span
from hicm.viewer import page
from hicm.viewer.content import Lane, View
from tests.viewer.node import run

FORMATS = sorted(path.stem for path in Path(exports.__file__).parent.glob("*.py")
                 if hasattr(import_module(f"hicm.exports.{path.stem}"), "SUFFIX"))
LEFT_TO_PYTHON = {"otio", "html"}  # a library writes the one, the other is the viewer itself
HERE = sorted({*FORMATS} - LEFT_TO_PYTHON)

NASTY = ["", " ", "plain", "a,b;c", 'say "hi"', "it's", "<b>bold</b>", "</script><script>alert(1)</script>", "a --> b",
         "-->", "---->", "{\\b1}", "& &amp; &#10;", "|pipe|", "=;#\\", "ends with \\", "tab\tnew\nline\r\nend\r",
         "\x00\x07\x1b\x7f\x85", "\u2028\u2029", "\ufeffbom", "\ufffe\uffff", "\ud800", "\udfff x", "é e\u0301 ß İ",
         "😀 👩‍👩‍👧 🏳️‍🌈", "مرحبا بالعالم", "‮rtl‬", "日本語の字幕", "x" * 90, "word " * 30, "😀" * 60,
         "\u00a0\u3000nbsp\u1680", "__proto__", "constructor"]
TIMES = [0.0, 0.0004, 0.0005, 0.0015, 0.0078125, 0.5, 1.0, 1.0005, 2.5, 9.9996, 10.0, 59.9996, 3599.9999, 1e-5,
         12345.678901, 1 / 3, -0.3]
RATES = [None, 25, 25.0, 29.97, 30000 / 1001, 23.5, 24.5, 59.94, 12.0, 120.0, 0.0]
SOURCES = ["/videos/a b.mp4", "/v/ünï %20.mkv", "/x/./y//z.webm", "/bytes/\udcff.mp4", "//two/slashes.MOV", "/none",
           "/a#b?c.mp4"]
MADE_BY: list[dict[str, Any]] = [
    {}, {"t": 1.0, "beams": 4, "big": 2 ** 60, "nan": float("nan"), "tiny": 1e-7, "no": None},
    {"nested": {"a": [], "b": [{}], "c": [1, [2.0]]}},
    {"text": "line\nbreak </script> é \u2028 \x01"}]


def text(random: random.Random) -> str:
    """Words, nasty ones among them, and signs from all over Unicode."""
    signs = "".join(chr(random.choice([random.randrange(0x300), random.randrange(0x3000), random.randrange(0x110000)]))
                    for _ in range(random.randrange(12)))
    words = [*random.choices(NASTY, k=random.randrange(4)), signs]
    random.shuffle(words)
    return joined(" ".join(words))


def joined(found: str) -> str:
    """Halves that stand together as one character: Python can tell them apart, and JavaScript cannot."""
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") if _valid(found) else \
        "".join(sign for sign in found if not "\ud800" <= sign <= "\udfff")


def _valid(found: str) -> bool:
    try:
        found.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    except UnicodeDecodeError:
        return not any("\ud800" <= one <= "\udbff" and "\udc00" <= other <= "\udfff"
                       for one, other in pairwise(found))
    return True


def made_up(seed: int) -> Captioned:
    """One video whose events overlap, are without length, go beyond the video or end before they start."""
    chance = random.Random(seed)
    events = []
    spread = chance.choice([20.0, 600.0, 30_000.0])
    for _ in range(chance.choice([0, 1, 5, 30])):
        start = chance.choice([*TIMES, *(chance.uniform(0, spread) for _ in range(30))])
        length = chance.choice([0.0, 0.0003, 10.0, 3600.0, -2.0, *(chance.uniform(0, 60) for _ in range(10))])
        events.append(Event(Span(start, start + length), text(chance),
                            chance.choice([None, 0.0, 1.0, 1e-7, chance.random()]),
                            chance.choice([None, 0, 1, 2])))
    events.sort(key=lambda event: (event.span.start, event.span.end))
    if chance.random() < 0.5:
        events = [Event(event.span, event.text, event.score) for event in events]
    picture = Picture(chance.choice(RATES), chance.choice([None, (640, 360)]), chance.random() < 0.5)
    return Captioned(chance.choice([text(chance), "video"]), chance.choice(SOURCES),
                     chance.choice([1.0, 0.1, 61.5, 700.0, 40_000.0, 23.25 * 3600, 30 * 3600.0]), tuple(events),
                     chance.choice(MADE_BY), picture, *speech_and_recall(chance))


def speech_and_recall(chance: random.Random) -> tuple[tuple[Event, ...], tuple[RecalledPart, ...]]:
    """Speech and recalled parts; often none."""
    def node(depth: int) -> RecalledNode:
        return RecalledNode(depth, text(chance), chance.choice([None, 0.0, 1.0, chance.random()]),
                            chance.choice(["", text(chance)]), chance.choice(["", "3 times"]),
                            tuple(node(depth - 1) for _ in range(chance.randrange(3))) if depth else (),
                            chance.choice([0, 7]), chance.choice([-1, 0]))

    said, recalled = (chance.choices(TIMES, k=chance.randrange(3)) for _ in range(2))
    return (tuple(Event(Span(start, start + 1.5), text(chance)) for start in said),
            tuple(RecalledPart(Span(start, start + 0.1), (node(2), node(0))) for start in recalled))


def given(captioned: Captioned) -> dict[str, Any]:
    """The same for the viewer."""
    picture = captioned.picture
    return {"id": captioned.id, "source": captioned.source, "duration": captioned.duration,
            "about": json.dumps(captioned.about, indent=1, ensure_ascii=False),
            "picture": {"frame_rate": picture.frame_rate, "size": picture.size, "sound": picture.sound},
            "events": [{"start": event.span.start, "end": event.span.end, "text": event.text, "score": event.score,
                        "level": event.level} for event in captioned.events],
            "speech": [{"start": said.span.start, "end": said.span.end, "text": said.text}
                       for said in captioned.speech],
            "recalled": View(captioned.id, captioned.duration, (Lane("", "prediction", (), captioned.recalled),)
                             ).to_json()["lanes"][0]["recalled"]}


def by_python(captioned: Captioned, name: str) -> str:
    """The text of the file, or why there is none."""
    try:
        return import_module(f"hicm.exports.{name}").render(captioned).encode("utf-8", "replace").decode()
    except Refused as error:
        return f"refused: {error}"


BY_VIEWER = """({formats, videos}) => videos.map((video) => Object.fromEntries(formats.map((name) => {
    try {
        return [name, hicm.text.utf8(hicm.exports[name].render(video))];
    } catch (error) {
        if (!(error instanceof hicm.Refused)) throw error;
        return [name, `refused: ${error.message}`];
    }
})))"""


def float_rate(captioned: Captioned) -> Captioned:
    """With a frame rate that is a float, as all are that come from videos."""
    rate = captioned.picture.frame_rate
    return replace(captioned, picture=Picture(None if rate is None else float(rate), captioned.picture.size,
                                              captioned.picture.sound))


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> list[tuple[Captioned, dict[str, str]]]:
    """Made-up videos, and what the viewer writes for each in every format."""
    videos = [float_rate(made_up(seed)) for seed in range(200)]
    found = run(BY_VIEWER, {"formats": HERE, "videos": [given(video) for video in videos]},
                tmp_path_factory.mktemp("node"))
    return list(zip(videos, found, strict=True))


@pytest.mark.parametrize("name", HERE)
def test_the_viewer_writes_what_python_writes(both, name):
    written = 0
    for number, (video, texts) in enumerate(both):
        expected = by_python(video, name)
        if name == "elan" and "video/x-matroska" in texts[name]:  # some systems know this type, some do not
            texts[name] = texts[name].replace('"video/x-matroska"', '"unknown"')
            expected = expected.replace('"video/x-matroska"', '"unknown"')
        assert texts[name] == expected, f"video {number}"
        written += not expected.startswith("refused")
    assert written > 20, "many can be written"


def test_refusals_are_tried(both):
    refused = {name for _, texts in both for name, text in texts.items() if text.startswith("refused")}
    assert refused == {"edl", "youtube"}


def test_the_viewer_knows_every_format_and_its_suffix(tmp_path):
    found = run("() => Object.fromEntries(Object.entries(hicm.exports).map(([name, format]) => [name, format.suffix]))",
                None, tmp_path)
    assert found == {name: import_module(f"hicm.exports.{name}").SUFFIX for name in HERE}


def test_numbers_are_written_as_python_writes_them(tmp_path):
    chance = random.Random(7)
    values = [0.0, -0.0, 1.0, 1e15, 1e16, 123456789012345680.0, 1e22, 1e-4, 1e-5, 5e-324,
              1.7976931348623157e308, 0.1, 1 / 3, 0.5, 1.5, 2.5, -2.5, 0.125, 0.0078125, 1e-7, 2 ** 53 + 2.0,
              *(chance.uniform(-1, 1) * 10.0 ** chance.randrange(-12, 20) for _ in range(3000))]
    found = run("(values) => values.map((one) => hicm.numbers.float(one))", values, tmp_path)
    assert found == [repr(value) for value in values]
    small = [value for value in values if abs(value) < 1e12]
    found = run("(values) => values.map((one) => [hicm.numbers.round(one), hicm.numbers.fixed(one, 6), "
                "hicm.numbers.fixed(one, 1), hicm.numbers.fixed(one, 0)])", small, tmp_path)
    assert found == [[round(value), f"{value:.6f}", f"{value:.1f}", f"{value:.0f}"] for value in small]


def test_every_script_is_in_the_page():
    there = {path.relative_to(page.ASSETS).with_suffix("").as_posix() for path in page.ASSETS.rglob("*.js")}
    assert there == {*page.SCRIPTS} and len(page.SCRIPTS) == len(there)
    assert {path.stem for path in (page.ASSETS / "style").iterdir()} == {*page.STYLES, "page"}
