"""What the system does not get from data: moments outside their video, long sentences, more moments than windows."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hicm.config import Config
from hicm.data.findings import Finding
from hicm.data.speech import SpeechStore
from hicm.errors import UserError
from hicm.moments.dense import queries_of
from hicm.systems.moments.dataset import learnable, moments_within
from hicm.systems.moments.words import make_words
from hicm.types import Video


def findings(config: Config, name: str, videos: Sequence[Video], speech: SpeechStore, width: int | None,
             folder: Path) -> Iterator[Finding]:
    """Counts over videos of the split ``name``."""
    settings, asked = config.room, {video.id: queries_of(video) for video in videos}
    yield Finding(f"of {len(videos)} videos have no sentences",
                  tuple(video for video, found in asked.items() if not found), "nothing is learnt from them, or "
                  "sought in them")
    late = {video.id: len(video.events if video.queries is None else asked[video.id]) - len(learnable(video))
            for video in videos}
    yield _of(late, 0, "have sentences without a moment within the video", "these sentences are not learnt")
    most = {video.id: max((len(moments_within(query, video.duration)) for query in asked[video.id]), default=0)
            for video in videos}
    yield _of(most, settings.queries, f"have a sentence with more moments than moments.queries={settings.queries}",
              "the rest is never found; raise it")
    try:
        words = make_words(settings.words, config.offline)
        longest = {video: max((len(words.split(query.text).words) for query in found), default=0)
                   for video, found in asked.items()}
    except UserError as error:
        yield Finding(f"not counted: words of sentences ({error})", level="note")
        return
    read = settings.max_words - 2 * words.ends
    yield _of(longest, read, f"have a sentence with more than {read} words", "the rest is not read; raise "
              "moments.max_words")


def _of(counts: Mapping[str, int], limit: int, what: str, remedy: str) -> Finding:
    worst = sorted((video for video, count in counts.items() if count > limit), key=lambda video: -counts[video])
    return Finding(f"of {len(counts)} videos {what}", tuple(f"{video} ({counts[video]})" for video in worst), remedy)
