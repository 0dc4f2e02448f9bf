"""The ways to write a video's identifier.  Nothing else in hicm knows about prefixes.

A YouTube id of 11 characters is written in three ways: bare (VidChapters), ``v_<id>`` (ActivityNet Captions, PDVC)
and ``<n>_<id>`` with an annotator number n from 0 (ViTT validation and test).
"""

YOUTUBE_LENGTH = 11
ANNOTATORS = 3  # ViTT has up to three annotators per video


def youtube_id(video_id: str) -> str:
    """The last 11 characters; a shorter identifier, e.g. a made-up one, is returned unchanged.

    >>> youtube_id("v_GLd3aX16zBg"), youtube_id("0_-0zE4NDkuYo"), youtube_id("clip1")
    ('GLd3aX16zBg', '-0zE4NDkuYo', 'clip1')
    """
    return video_id[-YOUTUBE_LENGTH:]


def candidates(video_id: str) -> tuple[str, ...]:
    """The keys under which a store may hold this video, in the order to try them, each once.

    As given, without / with ``v_``, the YouTube id bare and with ``v_``, then with annotator numbers: frames and
    speech are the same for all annotators.

    >>> candidates("v_GLd3aX16zBg")
    ('v_GLd3aX16zBg', 'GLd3aX16zBg', '0_GLd3aX16zBg', '1_GLd3aX16zBg', '2_GLd3aX16zBg')
    """
    bare = youtube_id(video_id)
    toggled = video_id.removeprefix("v_") if video_id.startswith("v_") else f"v_{video_id}"
    annotated = (f"{n}_{bare}" for n in range(ANNOTATORS))
    return tuple(dict.fromkeys((video_id, toggled, bare, f"v_{bare}", *annotated)))
