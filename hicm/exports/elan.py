"""An annotation file of ELAN.  Scores are lost; times are rounded to milliseconds.

Annotations of a tier may not overlap: events that do are put on several, named ``events``, ``events 2``, ...; events
with levels on those of their level, ``level 0``, ``level 0 2``, ...
Format: https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf
"""

import itertools
import mimetypes
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from hicm.exports import Captioned
from hicm.exports.clock import Cue, cues
from hicm.exports.xml_text import xml_text

SUFFIX = ".eaf"

KIND = "default-lt"
SCHEMA = {"xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"}
DATE = "1970-01-01T00:00:00+00:00"  # required; the current date would make files of equal events differ


def render(captioned: Captioned) -> str:
    """EAF 3.0, one tier per lane of events that do not overlap."""
    found = cues(captioned.events)
    lanes = _tiers(found)
    root = ET.Element("ANNOTATION_DOCUMENT", {"xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance"} | SCHEMA,
                      AUTHOR="hicm", DATE=DATE, FORMAT="3.0", VERSION="3.0")
    header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    source = Path(captioned.source)
    ET.SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=source.absolute().as_uri(),
                  MIME_TYPE=mimetypes.guess_type(source.name)[0] or "unknown")
    ET.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(len(found))
    slots = _slots(root, found)
    numbers = itertools.count(1)
    for name, lane in (lanes or {"events": []}).items():
        tier = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF=KIND, TIER_ID=name)
        for cue in lane:
            start, end = slots[id(cue)]
            place = ET.SubElement(ET.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION",
                                  ANNOTATION_ID=f"a{next(numbers)}", TIME_SLOT_REF1=start, TIME_SLOT_REF2=end)
            ET.SubElement(place, "ANNOTATION_VALUE").text = cue.text
    ET.SubElement(root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID=KIND, TIME_ALIGNABLE="true")
    return xml_text(root)


def _tiers(found: Iterable[Cue]) -> dict[str, list[Cue]]:
    """Tiers of cues that do not overlap, as few as possible per level, by name; ``found`` in order of start."""
    lanes: dict[int | None, list[list[Cue]]] = {}
    for cue in found:
        of_level = lanes.setdefault(cue.event.level, [])
        free = next((lane for lane in of_level if lane[-1].end <= cue.start), None)
        if free is None:
            of_level.append([cue])
        else:
            free.append(cue)
    return {("events" if level is None else f"level {level}") + (f" {number}" if number > 1 else ""): lane
            for level, of_level in lanes.items() for number, lane in enumerate(of_level, start=1)}


def _slots(root: ET.Element, found: Iterable[Cue]) -> dict[int, tuple[str, str]]:
    """Write the time slots, in order of time; returns those of each cue by its ``id``."""
    order = ET.SubElement(root, "TIME_ORDER")
    ends = sorted((time, which, number) for number, cue in enumerate(found)
                  for which, time in enumerate((cue.start, cue.end)))
    names = {}
    for slot, (time, which, number) in enumerate(ends, start=1):
        names[number, which] = f"ts{slot}"
        ET.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=f"ts{slot}", TIME_VALUE=str(time))
    return {id(cue): (names[number, 0], names[number, 1]) for number, cue in enumerate(found)}
