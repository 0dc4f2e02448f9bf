"""An OpenTimelineIO timeline with the video and a marker per event, which its adapters turn into other formats.

Nothing is lost but how the events were made: scores and levels are metadata of the markers.  Times are rounded to
frames of the nearest usual rate.  Written by the library opentimelineio.
"""

from pathlib import Path

from hicm.errors import UserError
from hicm.exports import Captioned
from hicm.exports.clock import cues, editor_rate, frames, last_frame, one_line

SUFFIX = ".otio"


def check() -> None:
    """UserError without the library."""
    try:
        import opentimelineio  # noqa: F401
    except ImportError as error:
        raise UserError("--format otio needs opentimelineio; install it: pip install 'hicm[export]'") from error


def render(captioned: Captioned) -> str:
    """One video track with one clip, the markers on the clip."""
    check()
    import opentimelineio as otio

    rate = editor_rate(captioned.picture.frame_rate)

    def span(first: int, last: int) -> otio.opentime.TimeRange:
        start, length = (otio.opentime.RationalTime(count, float(rate)) for count in (first, last - first + 1))
        return otio.opentime.TimeRange(start, length)

    whole = span(0, last_frame(rate, captioned.duration))
    media = otio.schema.ExternalReference(Path(captioned.source).absolute().as_uri(), whole)
    clip = otio.schema.Clip(one_line(captioned.id), media, whole)
    for cue in cues(captioned.events):
        about = {"score": cue.event.score, "level": cue.event.level}
        clip.markers.append(otio.schema.Marker(cue.text, span(*frames(cue, rate, captioned.duration)),
                                               otio.schema.MarkerColor.BLUE, {"hicm": about}))
    timeline = otio.schema.Timeline(one_line(captioned.id))
    timeline.tracks.append(otio.schema.Track("video", [clip], kind=otio.schema.TrackKind.Video))
    return timeline.to_json_string(indent=1) + "\n"
