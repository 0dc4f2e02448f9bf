"""Made-up views for the viewer."""

import random
from typing import Any

WORDS = ["add", "the onion", "then", "stir", "slowly", "while", "water", "boils", "and", "the cook", "explains", "why"]

MARKUP = ["<b>bold</b> & <i>plain</i>", "<img src=x onerror=\"window.hacked = 1\">",
          "</script><script>window.hacked = 2</script>", "<!-- --> ]]> <!DOCTYPE x>",
          "{{script}} {{views}} ${window.hacked = 3}", "\u2028line\u2029end", "مرحبا بالعالم <u>", "日本語の字幕 & 😀",
          "\ud800 alone", "javascript:window.hacked=4", "<svg/onload=window.hacked=5>", "&lt;b&gt; &amp;"]


def event(start: float, end: float, text: str, score: float | None = None, level: int | None = None) -> dict[str, Any]:
    return {"start": start, "end": end, "text": text, "score": score, "level": level, "remark": ""}


def lane(events: list[dict[str, Any]], name: str = "captions", kind: str = "prediction",
         recalled: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"name": name, "kind": kind, "events": events, "recalled": recalled or []}


def view(lanes: list[dict[str, Any]], duration: float = 30.0, video: str | None = None, name: str = "made up",
         **others: Any) -> dict[str, Any]:
    return {"id": name, "title": name, "source": f"/videos/{name}.mp4", "duration": duration, "video": video,
            "picture": {"frame_rate": 25.0, "size": [480, 360], "sound": True}, "made_by": {"t": 1.0, "beams": 4},
            "lanes": lanes} | others


def node(level: int, text: str, score: float | None, *below: dict[str, Any]) -> dict[str, Any]:
    return {"level": level, "text": text, "score": score, "source": "v_1" if level == 0 else "", "replaced": "",
            "more": 0, "below": list(below)}


def several(video: str | None = None, duration: float = 30.0) -> dict[str, Any]:
    """Two predictions, a reference and speech; levels, overlaps and recalled memory."""
    recalled = [{"start": 0.0, "end": 15.0, "nodes": [
        node(2, "a long jump", 0.31, node(1, "she lands in the sand", 0.42, node(0, "she lands", None)))]}]
    return view([
        lane([event(0.0, 29.0, "A long jump", 0.9, 0), event(1.0, 6.0, "She gets ready", 0.8, 1),
              event(6.0, 14.0, "She runs and jumps", 0.7, 1), event(12.0, 20.0, "She lands in the sand", 0.6, 1)],
             recalled=recalled),
        lane([event(2.0, 18.0, "a person is jumping")], "baseline"),
        lane([event(0.5, 13.0, "A woman jumps."), event(13.0, 28.0, "The crowd applauds.")], "reference", "reference"),
        lane([event(3.0, 5.0, "here she comes")], "speech", "speech")], duration, video, "women_long_jump")


def hour(count: int = 500, seed: int = 1) -> dict[str, Any]:
    """``count`` events in an hour, on two levels."""
    chance = random.Random(seed)
    events = [event(number * 360.0, number * 360.0 + 360, f"Part {number + 1}", 0.9, 0) for number in range(10)]
    step = 3600 / (count - 10)
    for number in range(count - 10):
        start = round(number * step, 3)
        events.append(event(start, round(min(start + chance.uniform(3, 9), 3600), 3),
                            " ".join(chance.choices(WORDS, k=chance.randint(4, 12))), chance.random(), 1))
    return view([lane(sorted(events, key=lambda one: one["start"]))], 3600.0, name="hour")
