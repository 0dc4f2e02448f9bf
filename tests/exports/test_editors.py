"""What editors open: timelines, annotation tools, tables."""

import csv
import itertools
import json
import re
import xml.etree.ElementTree as ET
from fractions import Fraction

import opentimelineio as otio
import pympi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hicm.dvc_eval.inputs.read import read_predictions
from hicm.errors import Refused
from hicm.exports import Picture, write
from hicm.exports.clock import editor_rate, one_line
from hicm.types import Event, Span
from tests.exports.made_up import DURATION, EVENTS, captioned, spans, ticks

RATES = st.sampled_from([None, 10.0, 23.976, 24.0, 25.0, 29.97, 30.0, 59.94, 60.0, 240.0])
few = settings(max_examples=20)


@few
@given(found=EVENTS, rate=RATES)
def test_otio(tmp_path_factory, found, rate):
    path = write(captioned(found, picture=Picture(rate)), tmp_path_factory.mktemp("out"), "otio")
    timeline = otio.adapters.read_from_file(str(path))
    [clip] = timeline.find_clips()
    used = editor_rate(rate)
    assert clip.media_reference.target_url.startswith("file:///") and "some%20videos/video.mp4" in str(
        clip.media_reference.target_url)
    assert timeline.duration().to_seconds() == pytest.approx(DURATION, abs=1 / float(used))
    assert sorted((one.marked_range.start_time.value, one.marked_range.duration.value, one.name)
                  for one in clip.markers) == spans(found, used)
    assert {one.marked_range.start_time.rate for one in clip.markers} <= {float(used)}
    about = ((one.name, one.metadata["hicm"]["level"], one.metadata["hicm"]["score"]) for one in clip.markers)
    assert sorted(map(_rounded, about)) == sorted(
        _rounded((text, event.level, event.score)) for event in found for *_, text in ticks([event]))


def _rounded(about: tuple[str, int | None, float | None]) -> str:
    return repr((*about[:2], about[2] and round(about[2], 9)))


@few
@given(found=EVENTS, rate=RATES)
def test_edl(tmp_path_factory, found, rate):
    """Event lines are read by OpenTimelineIO; a marker per frame, with a title each that begins there."""
    path = write(captioned(found, picture=Picture(rate)), tmp_path_factory.mktemp("out"), "edl")
    used, lines = editor_rate(rate), path.read_text(encoding="utf-8").splitlines()
    expected = spans(found, used)
    starts = sorted({first for first, _, _ in expected})
    assert lines[:3] == ["TITLE: video", "FCM: NON-DROP FRAME", ""]
    markers = [re.fullmatch(r" \|C:ResolveColorBlue \|M:([^|]+) \|D:(\d+)", line) for line in lines[4::3]]
    for first, marker in zip(starts, markers, strict=True):
        here = [one for one in expected if one[0] == first]
        assert sorted(marker[1]) == sorted(" / ".join(text for _, _, text in here).replace("|", "/"))
        assert int(marker[2]) == max(length for _, length, _ in here)
    if starts:
        whole = round(used)  # time code counts whole frames
        timeline = otio.adapters.read_from_file(str(path), "cmx_3600", rate=whole)
        assert [clip.source_range.start_time.value - 3600 * whole for clip in timeline.find_clips()] == starts


def test_edl_exact_text(tmp_path):
    found = [Event(Span(1.5, 3), "12 eggs | milk"), Event(Span(1.5, 2), "whisk"), Event(Span(3723, 3724), "serve")]
    text = write(captioned(found, picture=Picture(29.97)), tmp_path, "edl").read_text()
    assert text == """TITLE: video
FCM: NON-DROP FRAME

001  001      V     C        01:00:01:15 01:00:01:16 01:00:01:15 01:00:01:16
 |C:ResolveColorBlue |M:12 eggs / milk / whisk |D:45

002  001      V     C        02:01:59:08 02:01:59:09 02:01:59:08 02:01:59:09
 |C:ResolveColorBlue |M:serve |D:30

"""


def test_edl_refuses_what_it_cannot_hold(tmp_path):
    many = [Event(Span(second, second + 1), "stir") for second in range(1000)]
    write(captioned(many[1:]), tmp_path, "edl")
    with pytest.raises(Refused, match="not written as edl: an EDL holds 999 markers, found 1000; use fcpxml or otio"):
        write(captioned(many), tmp_path, "edl")


@few
@given(found=EVENTS, rate=RATES)
def test_fcpxml(tmp_path_factory, found, rate):
    """Times are fractions on the boundaries of frames, markers inside the clip, each in a frame of its own."""
    path = write(captioned(found, picture=Picture(rate, (640, 360), True)), tmp_path_factory.mktemp("out"), "fcpxml")
    root = ET.parse(path).getroot()
    used = editor_rate(rate)
    shown = root.find("resources/format")
    assert shown.attrib == {"id": "r1", "frameDuration": f"{used.denominator}/{used.numerator}s", "width": "640",
                            "height": "360"}
    assert root.find("resources/asset").get("src").endswith("/some%20videos/video.mp4")
    clip = root.find("library/event/project/sequence/spine/asset-clip")
    assert clip.get("ref") == root.find("resources/asset").get("id")
    starts = [_frame(marker.get("start"), used) for marker in clip.findall("chapter-marker")]
    assert starts == sorted({first for first, _, _ in spans(found, used)})
    assert all(0 <= start < _frame(clip.get("duration"), used) for start in starts)
    titles = " / ".join(marker.get("value") for marker in clip)
    assert sorted(titles) == sorted(" / ".join(text for _, _, text in ticks(found)))


# Of Apple's DTD of FCPXML 1.8, the elements that are written: what must and may stand in them, in this order, and what
# they must and may say.
DTD = {
    "fcpxml": (["resources?", "library"], {"version"}, set()),
    "resources": (["format*", "asset*"], set(), set()),
    "format": ([], {"id"}, {"name", "frameDuration", "fieldOrder", "width", "height"}),
    "asset": ([], {"id", "src"}, {"name", "start", "duration", "hasVideo", "format", "hasAudio", "audioSources",
                                  "audioChannels", "audioRate"}),
    "library": (["event*"], set(), {"location", "colorProcessing"}),
    "event": (["project*"], set(), {"name", "uid"}),
    "project": (["sequence"], set(), {"name", "uid", "id", "modDate"}),
    "sequence": (["spine"], {"format"}, {"duration", "tcStart", "tcFormat", "renderColorSpace"}),
    "spine": (["asset-clip*"], set(), {"lane", "offset", "name", "format"}),
    "asset-clip": (["chapter-marker*"], {"ref"}, {"lane", "offset", "name", "start", "duration", "enabled", "format",
                                                  "tcStart", "tcFormat", "modDate", "srcEnable"}),
    "chapter-marker": ([], {"start", "value"}, {"duration", "note", "posterOffset"}),
}


@pytest.mark.parametrize("picture", [Picture(25.0), Picture(None), Picture(30000 / 1001, (640, 360), True)])
def test_fcpxml_keeps_to_the_dtd(tmp_path, picture):
    found = [Event(Span(0, 1), "a & <b> \"c\" ]]> 👩‍🍳"), Event(Span(1, 2), "d")]
    root = ET.parse(write(captioned(found, picture=picture), tmp_path, "fcpxml")).getroot()
    ids = {one.get("id") for one in root.find("resources")}
    for one in root.iter():
        inside, must, may = DTD[one.tag]
        assert re.fullmatch("".join(f"(?:{tag.rstrip('*?')} ){tag[-1] if tag[-1] in '*?' else ''}" for tag in inside),
                            "".join(f"{part.tag} " for part in one))
        assert must <= set(one.attrib) <= must | may and {one.get("ref", "r1"), one.get("format", "r1")} <= ids
        for name in {"start", "duration", "offset", "tcStart", "frameDuration", "posterOffset"} & set(one.attrib):
            assert re.fullmatch(r"\d{1,18}(/\d{1,9})?s", one.get(name)), "64 bits above, 32 below"
            assert _frame(one.get(name), editor_rate(picture.frame_rate)) >= 0


def _frame(seconds: str, rate: Fraction) -> int:
    frame = Fraction(seconds.removesuffix("s")) * rate
    assert frame.denominator == 1
    return int(frame)


@few
@given(found=EVENTS)
def test_markers_lie_within_a_short_video(tmp_path_factory, found):
    folder, picture = tmp_path_factory.mktemp("out"), Picture(25.0)
    root = ET.parse(write(captioned(found, 0.01, picture), folder, "fcpxml")).getroot()
    assert {marker.get("start") for marker in root.iter("chapter-marker")} <= {"0s"}
    [task] = json.loads(write(captioned(found, 0.01, picture), folder, "labelstudio").read_text(encoding="utf-8"))
    assert all(one["value"]["ranges"] == [{"start": 1, "end": 1}] for one in task["predictions"][0]["result"])


@few
@given(found=EVENTS)
def test_elan(tmp_path_factory, found):
    """Read by pympi: every event, none overlapping another of its tier, and no tier more than needed."""
    path = write(captioned(found), tmp_path_factory.mktemp("out"), "elan")
    elan = pympi.Elan.Eaf(str(path), suppress_version_warning=True)
    tiers = {name: sorted(elan.get_annotation_data_for_tier(name)) for name in elan.get_tier_names()}
    assert sorted(one for tier in tiers.values() for one in tier) == ticks(found)
    for tier in tiers.values():
        assert all(one[1] <= after[0] for one, after in itertools.pairwise(tier))
    for level in {event.level for event in found}:
        own = ticks([event for event in found if event.level == level])
        deepest = max(sum(start <= other[0] < end for start, end, _ in own) for other in own)
        named = "events" if level is None else f"level {level}"
        assert sum(name == named or name.startswith(f"{named} ") for name in tiers) <= deepest
    times = [int(slot.get("TIME_VALUE")) for slot in ET.parse(path).getroot().iter("TIME_SLOT")]
    assert times == sorted(times)


@few
@given(found=EVENTS)
def test_elan_keeps_to_its_schema(tmp_path_factory, found):
    """EAFv3.0.xsd: parts in order, what they must say, every id once, every reference to one of them."""
    root = ET.parse(write(captioned(found), tmp_path_factory.mktemp("out"), "elan")).getroot()
    assert re.fullmatch("HEADER TIME_ORDER (TIER )+LINGUISTIC_TYPE ", "".join(f"{part.tag} " for part in root))
    assert {"AUTHOR", "DATE", "VERSION", "FORMAT"} <= set(root.attrib) and root.get("FORMAT") == "3.0"
    must = {"MEDIA_DESCRIPTOR": {"MEDIA_URL", "MIME_TYPE"}, "TIER": {"TIER_ID", "LINGUISTIC_TYPE_REF"},
            "LINGUISTIC_TYPE": {"LINGUISTIC_TYPE_ID"}, "TIME_SLOT": {"TIME_SLOT_ID"},
            "ALIGNABLE_ANNOTATION": {"ANNOTATION_ID", "TIME_SLOT_REF1", "TIME_SLOT_REF2"}}
    assert all(must.get(one.tag, set()) <= set(one.attrib) for one in root.iter())
    ids = [value for one in root.iter() for name, value in one.attrib.items() if name.endswith("_ID")]
    refs = {value for one in root.iter() for name, value in one.attrib.items() if re.fullmatch(r".*_REF\d?", name)}
    assert len(set(ids)) == len(ids) and refs <= set(ids)
    assert all(re.fullmatch(r"(ts|a)\d+", name) for name in ids if name not in {
        "default-lt", *(tier.get("TIER_ID") for tier in root.findall("TIER"))}), "XML names begin with a letter"
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")}
    assert all(0 <= slots[one.get("TIME_SLOT_REF1")] < slots[one.get("TIME_SLOT_REF2")] < 1 << 32
               for one in root.iter("ALIGNABLE_ANNOTATION"))


@few
@given(found=EVENTS, rate=RATES)
def test_label_studio(tmp_path_factory, found, rate):
    """Frames from 1, at the rate that the task states; two results of one region under one id."""
    path = write(captioned(found, picture=Picture(rate)), tmp_path_factory.mktemp("out"), "labelstudio")
    [task] = json.loads(path.read_text(encoding="utf-8"))
    used = editor_rate(rate)
    assert task["data"] == {"video": "some videos/video.mp4", "id": "video", "duration": DURATION, "fps": float(used)}
    result = task["predictions"][0]["result"]
    regions, texts = ({one["id"]: one for one in result if one["type"] == kind} for kind in ("timelinelabels",
                                                                                             "textarea"))
    assert regions.keys() == texts.keys() and len(regions) == len(found)
    shown = [(one["value"]["ranges"][0], texts[name]["value"]["text"]) for name, one in regions.items()]
    assert sorted((span["start"] - 1, span["end"] - span["start"] + 1, text) for span, [text] in shown) == spans(
        found, used)
    assert {one["to_name"] for one in result} <= {"video"}


@few
@given(found=EVENTS)
def test_tables(tmp_path_factory, found):
    """CSV loses nothing; Audacity's labels keep microseconds."""
    folder, whole = tmp_path_factory.mktemp("out"), captioned(found)
    with open(write(whole, folder, "csv"), encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["video"], float(row["duration"]), Event(
        Span(float(row["start"]), float(row["end"])), row["sentence"], float(row["score"]) if row["score"] else None,
        int(row["level"]) if row["level"] else None)) for row in rows] == [
        ("video", DURATION, event) for event in whole.events]
    lines = write(whole, folder, "audacity").read_text(encoding="utf-8").split("\n")[:-1]
    assert [(round(float(start), 6), round(float(end), 6), text) for start, end, text in (
        line.split("\t") for line in lines)] == [(round(event.span.start, 6), round(event.span.end, 6),
                                                  one_line(event.text)) for event in whole.events]


@few
@given(found=EVENTS)
def test_the_evaluator_reads_activitynet(tmp_path_factory, found):
    whole, warnings = captioned(found), []
    tracks, _, keys = read_predictions(str(write(whole, tmp_path_factory.mktemp("out"), "activitynet")), warnings)
    assert tracks["video"].captions == tuple(event.text for event in whole.events)
    assert tracks["video"].spans.tolist() == [[event.span.start, event.span.end] for event in whole.events]
    assert {"version", "results", "external_data"} <= set(keys)
