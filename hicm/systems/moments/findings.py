"""What the system does not get from data: moments outside their video, long sentences, more moments than windows."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from hicm.config import Config
from hicm.data.findings import Finding
from hicm.data.speech import SpeechStore
from hicm.errors import UserError
from hicm.moments.dense import queries_of
from hicm.systems.moments.counts import read_counts
from hicm.systems.moments.dataset import learnable, moments_within
from hicm.systems.moments.settings import reach
from hicm.systems.moments.tags import load_tags
from hicm.systems.moments.words import Sentence, make_words
from hicm.types import Video


def findings(config: Config, name: str, videos: Sequence[Video], speech: SpeechStore, width: int | None,
             folder: Path) -> Iterator[Finding]:
    """Counts over videos of the split ``name``."""
    settings, asked = config.room, {video.id: queries_of(video) for video in videos}
    yield Finding(f"of {len(videos)} videos have no sentences",
                  tuple(video for video, found in asked.items() if not found), "nothing is learnt from "
                  "them or found in them")
    known = {video.id: len(learnable(video)) for video in videos}
    late = {video.id: len(video.events if video.queries is None else asked[video.id]) - known[video.id]
            for video in videos}
    yield _of(late, 0, "have sentences without a moment within the video", "these sentences are not learnt")
    read = reach(config)
    unread = {video.id: known[video.id] - len(learnable(video, read)) for video in videos}
    yield _of(unread, 0, f"have sentences whose moments start after the {read:g} s that are read (moments.surplus=cut)",
              "they are neither learnt nor found; raise data.frames")
    most = {video.id: max((len(moments_within(query, video.duration)) for query in asked[video.id]), default=0)
            for video in videos}
    yield _of(most, settings.queries, f"have a sentence with more moments than moments.queries={settings.queries}",
              "the rest is never found; raise it")
    try:
        words = make_words(settings.words, config.offline)
        split = {video: [words.split(query.text) for query in found] for video, found in asked.items()}
    except UserError as error:
        yield Finding(f"not counted: words of sentences ({error})", level="note")
        return
    if name == config.data.train:
        yield from _unusable(settings.counts, read_counts, words.splitting)
        yield from _unusable(settings.tags, load_tags, words.splitting)
    yield from _dropped(split)
    longest = {video: max((len(one.words) for one in found), default=0) for video, found in split.items()}
    read = settings.max_words - 2 * words.ends
    yield _of(longest, read, f"have a sentence with more than {read} words", "the rest is not read; raise "
              "moments.max_words")


def _unusable(file: str, read: Callable[[str, str], object], splitting: str) -> Iterator[Finding]:
    """Why training cannot use a file of words; nothing where there is none, which others say."""
    if file and Path(file).exists():
        try:
            read(file, splitting)
        except UserError as error:
            yield Finding(str(error), level="error")


def _dropped(split: Mapping[str, Sequence[Sentence]]) -> Iterator[Finding]:
    """Words that have no vectors, and sentences that have no others."""
    lost = {video: [word.lower() for one in found for word in one.dropped] for video, found in split.items()}
    counts = Counter(word for words in lost.values() for word in words)
    shown = ", ".join(f"{word} {count}" for word, count in counts.most_common(5))
    yield _of({video: len(words) for video, words in lost.items()}, 0, "have sentences with words that moments.words "
              "has no vectors for", f"{counts.total()} words are not read, most often {shown}")
    yield _of({video: sum(one.kept == () for one in found) for video, found in split.items()}, 0, "have sentences of "
              "which moments.words knows no word", "these are read as one word whose vector is zero; reword them")


def _of(counts: Mapping[str, int], limit: int, what: str, remedy: str) -> Finding:
    worst = sorted((video for video, count in counts.items() if count > limit), key=lambda video: -counts[video])
    return Finding(f"of {len(counts)} videos {what}", tuple(f"{video} ({counts[video]})" for video in worst), remedy)
