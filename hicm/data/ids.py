"""The ways to write a video's identifier.  Nothing else in hicm knows about prefixes.

A YouTube id of 11 characters is written in three ways: bare (VidChapters), ``v_<id>`` (ActivityNet Captions, PDVC)
and ``<n>_<id>`` with an annotator number n from 0 (ViTT validation and test).  ``<id>_<start>_<end>`` is a clip of it
(QVHighlights).
"""

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from hicm.errors import UserError

YOUTUBE_LENGTH = 11
ANNOTATORS = 3  # ViTT has up to three annotators per video
CLIP = re.compile(r"(.{11})_\d+(?:\.\d+)?_\d+(?:\.\d+)?", re.DOTALL)
VIDEO_ENDINGS = (".mp4", ".mkv", ".webm", ".avi", ".mov")
LONGEST = 200  # bytes of an id: file names end at 255, with endings of features and of temporary files
COMPARED = 2000  # ids looked at on each side for a guess at how they differ


class Holds(Protocol):
    """Something that tells whether it has a key."""

    def __contains__(self, key: str, /) -> bool: ...


def youtube_id(video_id: str) -> str:
    """The last 11 characters, and of a clip the first; a shorter identifier, e.g. a made-up one, is returned unchanged.

    >>> youtube_id("v_GLd3aX16zBg"), youtube_id("0_-0zE4NDkuYo"), youtube_id("clip1")
    ('GLd3aX16zBg', '-0zE4NDkuYo', 'clip1')
    >>> youtube_id("NUsG9BgSes0_210.0_360.0")
    'NUsG9BgSes0'
    """
    clip = CLIP.fullmatch(video_id)
    return clip[1] if clip else video_id[-YOUTUBE_LENGTH:]


def is_clip(video_id: str) -> bool:
    """Whether the id is that of a clip, of which a YouTube video may have several."""
    return CLIP.fullmatch(video_id) is not None


def candidates(video_id: str) -> tuple[str, ...]:
    """The keys under which a store may hold this video, in the order to try them, each once.

    As given, without / with ``v_``, the YouTube id bare and with ``v_``, then with annotator numbers: frames and
    speech are the same for all annotators.  Those of a clip are not those of its video.

    >>> candidates("v_GLd3aX16zBg")
    ('v_GLd3aX16zBg', 'GLd3aX16zBg', '0_GLd3aX16zBg', '1_GLd3aX16zBg', '2_GLd3aX16zBg')
    """
    bare = youtube_id(video_id)
    toggled = video_id.removeprefix("v_") if video_id.startswith("v_") else f"v_{video_id}"
    if is_clip(video_id):
        return video_id, toggled
    annotated = (f"{n}_{bare}" for n in range(ANNOTATORS))
    return tuple(dict.fromkeys((video_id, toggled, bare, f"v_{bare}", *annotated)))


def stored_id(video_id: str, store: Holds) -> str | None:
    """The key under which a store holds this video, None where it does not.

    The first of `candidates`; if there is none, the id without its file ending, or with one, if only one is there.

    >>> stored_id("s17-d69.avi", {"s17-d69"}), stored_id("s17-d69", {"s17-d69.avi"})
    ('s17-d69', 's17-d69.avi')
    >>> stored_id("a", {"a.avi", "a.mp4"}) is None
    True
    """
    found = next((key for key in candidates(video_id) if key in store), None)
    if found is not None:
        return found
    bare = without_video_ending(video_id)
    there = [key for key in ([bare] if bare != video_id else [video_id + ending for ending in VIDEO_ENDINGS])
             if key in store]
    return there[0] if len(there) == 1 else None


def unclear_ids(video_ids: Iterable[str], keys: Callable[[], Iterable[str]]) -> set[str]:
    """Ids for which `stored_id` finds the key of another one, as their file endings alone tell them apart.

    ``keys``: gives those of the store.

    >>> sorted(unclear_ids(["a.avi", "a.mp4", "b.avi"], lambda: ["a", "b"]))
    ['a.avi', 'a.mp4']
    """
    alike: dict[str, list[str]] = {}
    for video_id in video_ids:
        alike.setdefault(without_video_ending(video_id), []).append(video_id)
    groups = {bare: group for bare, group in alike.items() if len(group) > 1}
    there = set(keys()) if groups else set()
    return {video_id for bare, group in groups.items() if bare in there for video_id in group
            if video_id not in there}


def without_video_ending(video_id: str) -> str:
    """The id of a video that is named like its file.

    >>> without_video_ending("s17-d69.avi"), without_video_ending("dr.no")
    ('s17-d69', 'dr.no')
    """
    return next((video_id.removesuffix(ending) for ending in VIDEO_ENDINGS if video_id.endswith(ending)), video_id)


def refuse_unusable_id(video_id: str, where: str) -> None:
    """Raise UserError, starting with ``where``, for an id that cannot be the name of a file or an HDF5 key.

    >>> refuse_unusable_id("a/b", "val.json")
    Traceback (most recent call last):
    hicm.errors.UserError: val.json: video 'a/b': an id may not hold '/', as it names files; rename the video
    """
    shown = ascii(video_id if len(video_id) <= 40 else f"{video_id[:40]}...")
    odd = next((letter for letter in video_id if letter == "/" or unicodedata.category(letter) in ("Cc", "Cs")), None)
    if odd is not None:
        raise UserError(f"{where}: video {shown}: an id may not hold {odd!a}, as it names files; rename the video")
    if not video_id.strip(" ."):
        raise UserError(f"{where}: video {shown}: this id cannot name a file; rename the video")
    if (size := len(video_id.encode())) > LONGEST:
        raise UserError(f"{where}: video {shown}: an id of {size} bytes cannot name a file, at most {LONGEST} can; "
                        "rename the video")


def no_match(wanted: Iterable[str], there: Iterable[Any], name: str) -> str:
    """Ids of the annotations and of the store ``name``, of which none match, and how they seem to differ; for errors.

    >>> no_match(["a1", "b2"], ["A1.mp4", "C3.mp4"], "clip")
    'clip has A1.mp4, C3.mp4, the annotations have a1, b2; A1.mp4 may be a1 (a file ending, upper and lower case)'
    >>> no_match(["a1"], [], "clip")
    'clip holds no video at all'
    """
    ours, theirs = (list(itertools.islice(ids, COMPARED)) for ids in (wanted, there))
    if not theirs:
        return f"{name} holds no video at all"
    guess = _guess(ours, [one for one in theirs if isinstance(one, str)])
    if any(not isinstance(one, str) for one in theirs):
        guess = f"; ids there are of type {type(theirs[0]).__name__}, expected text"
    return f"{name} has {_some(theirs)}, the annotations have {_some(ours)}{guess}"


def _some(ids: list[Any]) -> str:
    return ", ".join(str(one) for one in ids[:3]) + (", ..." if len(ids) > 3 else "")


def _guess(ours: list[str], theirs: list[str]) -> str:
    """The first pair of ids that differ in their writing only, and how."""
    changes = {"a leading '-'": lambda name: name.lstrip("-"), "a prefix v_": lambda name: name.removeprefix("v_"),
               "a file ending": _without_ending, "upper and lower case": str.lower,
               "leading zeros": lambda name: name.lstrip("0") or "0"}
    for count in range(1, len(changes) + 1):
        for chosen in itertools.combinations(changes, count):
            def simple(name: str, chosen: tuple[str, ...] = chosen) -> str:
                for change in chosen:
                    name = changes[change](name)
                return name

            by_form = {simple(name): name for name in theirs}
            pair = next(((by_form[simple(name)], name) for name in ours if simple(name) in by_form), None)
            if pair is not None:
                return f"; {pair[0]} may be {pair[1]} ({', '.join(chosen)})"
    pair = next(((there, here) for here in ours[:100] for there in theirs
                 if len(min(there, here, key=len)) > 3 and (here in there or there in here)), None)
    return "" if pair is None else f"; {pair[0]} may be {pair[1]}"


def _without_ending(name: str) -> str:
    return name.rpartition(".")[0] if "." in name[-6:-1] else name
