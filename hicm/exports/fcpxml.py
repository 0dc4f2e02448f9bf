"""A Final Cut Pro project with the video and a chapter marker per event; DaVinci Resolve opens it too.

Ends, scores and levels are lost: a marker is a point, and events that begin in the same frame share one.  Times are
rounded to frames of the nearest usual rate.
Format: https://developer.apple.com/documentation/professional-video-applications/fcpxml-reference
"""

import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

from hicm.exports import Captioned
from hicm.exports.clock import editor_rate, last_frame, markers, one_line
from hicm.exports.xml_text import xml_text

SUFFIX = ".fcpxml"


def render(captioned: Captioned) -> str:
    """Version 1.8: what Final Cut Pro 10.4 and later read."""
    rate, picture = editor_rate(captioned.picture.frame_rate), captioned.picture
    length = _seconds(last_frame(rate, captioned.duration) + 1, rate)
    name = one_line(captioned.id)
    root = ET.Element("fcpxml", version="1.8")
    resources = ET.SubElement(root, "resources")
    size = dict(zip(("width", "height"), map(str, picture.size), strict=True)) if picture.size else {}
    ET.SubElement(resources, "format", {"id": "r1", "frameDuration": _seconds(1, rate)} | size)
    sound = {"hasAudio": "1", "audioSources": "1"} if picture.sound else {}
    source = Path(captioned.source).absolute().as_uri()
    ET.SubElement(resources, "asset", {"id": "r2", "name": name, "src": source, "start": "0s", "duration": length,
                                       "hasVideo": "1", "format": "r1"} | sound)
    project = ET.SubElement(ET.SubElement(ET.SubElement(root, "library"), "event", name=name), "project", name=name)
    sequence = ET.SubElement(project, "sequence", format="r1", duration=length, tcStart="0s", tcFormat="NDF")
    clip = ET.SubElement(ET.SubElement(sequence, "spine"), "asset-clip", ref="r2", name=name, offset="0s", start="0s",
                         duration=length, format="r1", tcFormat="NDF")
    for first, _, text in markers(captioned.events, rate, captioned.duration):
        ET.SubElement(clip, "chapter-marker", start=_seconds(first, rate), duration=_seconds(1, rate), value=text,
                      posterOffset="0s")
    return xml_text(root, "fcpxml")


def _seconds(frames: int, rate: Fraction) -> str:
    """As a fraction on a frame's boundary.

    >>> _seconds(30, Fraction(30000, 1001)), _seconds(0, Fraction(25))
    ('30030/30000s', '0s')
    """
    return f"{frames * rate.denominator}/{rate.numerator}s" if frames else "0s"
