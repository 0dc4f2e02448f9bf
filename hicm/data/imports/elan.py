"""ELAN annotation files (.eaf): a video per file, named by it, an event per annotation of a tier with times.

Annotations that refer to others (translations, comments) are left out.
"""

import xml.etree.ElementTree as ET
from pathlib import Path

from hicm.data.imports import Imported
from hicm.errors import UserError
from hicm.files import read_text
from hicm.types import Event, Span


def read(path: Path) -> list[Imported]:
    """One video.  Raises UserError naming the annotation whose times are not known."""
    try:
        root = ET.fromstring(read_text(path))
    except ET.ParseError as error:
        raise UserError(f"{path}: expected an ELAN file ({error}); is it complete?") from error
    if root.tag != "ANNOTATION_DOCUMENT":
        raise UserError(f"{path}: expected an ELAN file, found <{root.tag}>")
    _check_clock(root, path)
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    events = []
    for annotation in root.iter("ALIGNABLE_ANNOTATION"):
        values = [times.get(annotation.get(f"TIME_SLOT_REF{end}")) for end in (1, 2)]
        if not all(value and value.isdecimal() and len(value) < 16 for value in values):
            raise UserError(f"{path}: annotation {annotation.get('ANNOTATION_ID')}: its times are not in the file; "
                            "align it in ELAN")
        start, end = (int(value or 0) / 1000 for value in values)
        events.append(Event(Span(start, end), " ".join((annotation.findtext("ANNOTATION_VALUE") or "").split())))
    return [Imported(path.stem, tuple(events))]


def _check_clock(root: ET.Element, path: Path) -> None:
    """Raise UserError unless times are milliseconds from the start of the video."""
    units = next((header.get("TIME_UNITS", "milliseconds") for header in root.iter("HEADER")), "milliseconds")
    if units != "milliseconds":
        raise UserError(f"{path}: expected times in milliseconds, found {units}; save the file with ELAN again")
    for media in root.iter("MEDIA_DESCRIPTOR"):
        if media.get("TIME_ORIGIN", "0") != "0":
            raise UserError(f"{path}: the video begins {media.get('TIME_ORIGIN')} ms before the annotations do; set "
                            "the offset to 0 in ELAN")
