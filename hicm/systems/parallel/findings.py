"""What the system does not get from data: events beyond its queries and counter, words beyond its limits."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hicm.config import Config
from hicm.data.findings import Finding
from hicm.data.speech import SpeechStore
from hicm.errors import UserError
from hicm.systems.parallel.vocabulary import Vocabulary, load_vocabulary, split
from hicm.types import Video

NAMED = 10  # unknown words named
# Share of unknown words above which the vocabulary may be that of other data: those of PDVC and CM2 lack at most 1.3 %
# of the words of their own data set, and 8 to 42 % of the other's.
FOREIGN = 0.05


def findings(config: Config, name: str, videos: Sequence[Video], speech: SpeechStore, width: int | None,
             folder: Path) -> Iterator[Finding]:
    """Counts over videos of the split ``name``."""
    settings = config.room
    events = {video.id: len(video.events) for video in videos}
    yield _beyond(events, "events", "queries", settings.queries, "the rest is never found; raise it")
    yield _beyond(events, "events", "max_events", settings.max_events, "the counter takes them for so many; raise it")
    if name == config.data.train:
        words = {video.id: max((len(split(event.text)) for event in video.events), default=0) for video in videos}
        yield _beyond(words, "a caption with more words", "max_words", settings.max_words,
                      "the rest is not learnt; raise it")
    if settings.vocabulary:  # words of the training captions are left out on purpose
        try:
            vocabulary = load_vocabulary(settings.vocabulary)
        except UserError as error:
            yield Finding(f"not counted: unknown words ({error})", level="note")
            return
        yield _unknown(videos, vocabulary)


def _beyond(counts: Mapping[str, int], what: str, setting: str, limit: int, remedy: str) -> Finding:
    worst = sorted((video for video, count in counts.items() if count > limit), key=lambda video: -counts[video])
    more = what if what.startswith("a ") else f"more {what}"
    return Finding(f"of {len(counts)} videos have {more} than parallel.{setting}={limit}",
                   tuple(f"{video} ({counts[video]})" for video in worst), remedy)


def _unknown(videos: Sequence[Video], vocabulary: Vocabulary) -> Finding:
    """Words of captions that are learnt, or expected, as unknown ones."""
    lost: dict[str, int] = {}
    words: dict[str, int] = {}
    total, known = 0, set(vocabulary.words[:-1])
    for video in videos:
        caption_words = [word for event in video.events for word in split(event.text)]
        missing = [word for word in caption_words if word not in known]
        total += len(caption_words)
        if missing:
            lost[video.id] = len(missing)
        for word in missing:
            words[word] = words.get(word, 0) + 1
    often = sorted(words, key=lambda word: (-words[word], word))
    remedy = "they are learnt as unknown words; name a larger parallel.vocabulary, or none"
    if sum(lost.values()) > FOREIGN * total:
        remedy += "; is it that of another data set?"
    named = ", ".join(often[:NAMED]) + (", ..." if len(often) > NAMED else "")
    worst = tuple(f"{video} ({lost[video]})" for video in sorted(lost, key=lambda v: -lost[v]))
    return Finding(f"of {len(videos)} videos have words that the vocabulary lacks ({sum(lost.values())} of {total}: "
                   f"{named})", worst, remedy)
