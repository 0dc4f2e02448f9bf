"""Chapters of a Matroska file, one inside the other where events are: ``mkvmerge --chapters`` and ``mkvpropedit``.

Where two events overlap in part, one is cut (`hicm.exports.chapters.nested`); scores are lost, and of
levels only the nesting remains.  Times are rounded to milliseconds.
Format: https://www.matroska.org/technical/chapters.html
"""

import itertools
import xml.etree.ElementTree as ET

from hicm.exports import Captioned
from hicm.exports.chapters import Chapter, nested
from hicm.exports.clock import clock
from hicm.exports.xml_text import xml_text

SUFFIX = ".chapters.xml"

UNDETERMINED = "und"  # ISO 639: the language is not known


def render(captioned: Captioned) -> str:
    """One edition; the chapters' ids count from 1.  Elements are in the order of MKVToolNix's DTD."""
    root = ET.Element("Chapters")
    numbers = itertools.count(1)
    edition = ET.SubElement(root, "EditionEntry")
    for chapter in nested(captioned.events):
        _add(edition, chapter, numbers)
    return xml_text(root)


def _add(parent: ET.Element, chapter: Chapter, numbers: "itertools.count[int]") -> None:
    atom = ET.SubElement(parent, "ChapterAtom")
    ET.SubElement(atom, "ChapterTimeStart").text = f"{clock(chapter.start)}000000"  # nanoseconds
    ET.SubElement(atom, "ChapterTimeEnd").text = f"{clock(chapter.end)}000000"
    ET.SubElement(atom, "ChapterUID").text = str(next(numbers))
    display = ET.SubElement(atom, "ChapterDisplay")
    ET.SubElement(display, "ChapterString").text = chapter.title
    ET.SubElement(display, "ChapterLanguage").text = UNDETERMINED
    ET.SubElement(display, "ChapLanguageIETF").text = UNDETERMINED
    for inner in chapter.inside:
        _add(atom, inner, numbers)
