"""An edit decision list (CMX 3600) of markers, for DaVinci Resolve: Timelines > Import > Timeline Markers from EDL.

Scores and levels are lost, events that begin in the same frame share a marker, and ``|`` becomes ``/``.  Times are
rounded to frames of the nearest usual rate, without drop frames.  The timeline must have that rate and begin at
01:00:00:00, as Resolve's do.
"""

from fractions import Fraction

from hicm.errors import Refused
from hicm.exports import Captioned
from hicm.exports.clock import editor_rate, markers, one_line

SUFFIX = ".edl"

MOST = 999  # markers: numbers have three digits
HOURS = 23  # 24, less the hour at which timelines begin


def render(captioned: Captioned) -> str:
    """Two lines per marker.  Raises Refused for more than 999 markers, or a video of 23 hours or more."""
    rate = editor_rate(captioned.picture.frame_rate)
    found = markers(captioned.events, rate, captioned.duration)
    if len(found) > MOST:
        raise Refused(f"an EDL holds {MOST} markers, found {len(found)}; use fcpxml or otio")
    if captioned.duration >= HOURS * 3600:
        raise Refused(f"time code ends at 24 hours, and timelines begin at 1; the video has "
                      f"{captioned.duration / 3600:.1f} hours")
    lines = [f"TITLE: {one_line(captioned.id)}", "FCM: NON-DROP FRAME", ""]
    for number, (first, last, text) in enumerate(found, start=1):
        here = f"{_time_code(first, rate)} {_time_code(first + 1, rate)}"
        lines += [f"{number:03d}  001      V     C        {here} {here}",
                  f" |C:ResolveColorBlue |M:{text.replace('|', '/')} |D:{last - first + 1}", ""]
    return "\n".join(lines) + "\n"


def _time_code(frame: int, rate: Fraction) -> str:
    """``HH:MM:SS:FF`` of a frame counted from 0, on a timeline that begins at one hour."""
    seconds, rest = divmod(frame, round(rate))
    return f"{seconds // 3600 + 1:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{rest:02d}"
