"""What the captioner does not get from data: tokens beyond its limits, unknown characters, events of one time bin."""

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hicm.config import Config
from hicm.data.findings import Finding
from hicm.data.speech import SpeechStore
from hicm.data.text import normalise
from hicm.data.time_tokens import to_bin
from hicm.errors import UserError
from hicm.systems.captioner.prepare import keep_vocabulary, open_vocabulary
from hicm.systems.captioner.vocabulary import Vocabulary
from hicm.types import Video

UNLIMITED = 10**9  # tokens
NAMED = 10  # unknown characters named


@dataclass(frozen=True)
class Counted:
    """The sequence of one video: its tokens, time tokens included, and how many of them are unknown."""

    tokens: int
    unknown: int
    characters: Counter[str]  # of the texts with unknown tokens


def findings(config: Config, split: str, videos: Sequence[Video], speech: SpeechStore, width: int | None,
             folder: Path) -> Iterator[Finding]:
    """Counts over videos of a split.  ``width``: that of the features; None: not known.

    The tokenizer is that of the run in ``folder``; where there is none, that of the settings if it is on this machine,
    which is kept in ``folder``.  "train" trains it as a training would.
    """
    settings = config.room
    heads = settings.visual_heads
    if width and settings.use_video and width % heads:
        divisors = [count for count in range(1, width + 1) if width % count == 0]
        nearest = min(divisors, key=lambda count: abs(count - heads))
        yield Finding(f"captioner.visual_heads={heads} does not divide the width of the features, {width}",
                      remedy=f"choose a divisor, e.g. captioner.visual_heads={nearest}", level="error")
    yield _one_bin(videos, settings.time_bins)
    try:
        vocabulary = open_vocabulary(replace(config, offline=True), folder, speech)
    except UserError as error:
        yield Finding(f"not counted: tokens beyond the limits, unknown characters ({error})", level="note")
        return
    keep_vocabulary(vocabulary, folder)
    if config.data.target == "captions":
        captions = {video.id: _count([event.text for event in video.events], vocabulary) for video in videos}
        if split == config.data.train:
            yield _beyond(captions, "captions", "max_caption_tokens", settings.max_caption_tokens, 1,
                          "the rest is not learnt; raise the limit")
        if settings.decode.max_tokens < settings.max_caption_tokens - 1:
            yield _beyond(captions, "captions", "decode.max_tokens", settings.decode.max_tokens, 0,
                          "the rest cannot be generated; raise the limit")
        yield _unknown(captions, "captions", vocabulary)
    if settings.use_speech or config.data.target == "speech":
        spoken = {video.id: _count(_said(video, speech), vocabulary) for video in videos}
        yield _beyond(spoken, "speech", "max_speech_tokens", settings.max_speech_tokens, 1,
                      "the rest is not heard; raise the limit")
        yield _unknown(spoken, "speech", vocabulary)


def _one_bin(videos: Sequence[Video], bins: int) -> Finding:
    """Events whose start and end get the same time token, so that they have no length; those of 0 s do not count."""
    same: dict[str, int] = {}
    for video in videos:
        if not math.isnan(video.duration):
            spans = [event.span for event in video.events if event.span.start != event.span.end]
            same[video.id] = sum(to_bin(span.start, video.duration, bins) == to_bin(span.end, video.duration, bins)
                                 for span in spans)
    events = {video.id: len(video.events) for video in videos}
    worst = sorted((name for name in same if same[name]), key=lambda name: (-same[name] / events[name], -same[name]))
    whole = sum(same[name] == events[name] for name in worst)
    return Finding(f"of {len(videos)} videos have events that begin and end in one of captioner.time_bins={bins} time "
                   f"bins ({sum(same.values())} of {sum(events.values())} events; in {whole} videos all)",
                   tuple(f"{name} ({same[name]} of {events[name]})" for name in worst),
                   "they have no length for the captioner, which never predicts such events; raise captioner.time_bins "
                   "or cut the videos into parts")


def _said(video: Video, speech: SpeechStore) -> Sequence[str]:
    with contextlib.suppress(UserError):  # what cannot be read is reported where the speech is checked
        return speech.get(video.id, video.duration).text
    return ()


def _count(texts: Sequence[str], vocabulary: Vocabulary) -> Counted:
    tokens = unknown = 0
    characters: Counter[str] = Counter()
    for text in filter(str.strip, texts):
        ids = vocabulary.encode(normalise(text), UNLIMITED)
        tokens += len(ids) + (2 if vocabulary.bins else 0)
        if found := ids.count(vocabulary.tokenizer.unk_token_id):
            unknown += found
            characters.update(normalise(text))
    return Counted(tokens, unknown, characters)


def _beyond(counted: Mapping[str, Counted], what: str, setting: str, limit: int, end: int, remedy: str) -> Finding:
    """``end``: how many tokens of the limit mark the end of a sequence."""
    kept = limit - end
    worst = sorted((name for name, one in counted.items() if one.tokens > kept), key=lambda name: -counted[name].tokens)
    lost, tokens = sum(counted[name].tokens - kept for name in worst), sum(one.tokens for one in counted.values())
    return Finding(f"of {len(counted)} videos have {what} beyond captioner.{setting}={limit} "
                   f"({100 * lost / max(1, tokens):.2g} % of all tokens)",
                   tuple(f"{name} ({counted[name].tokens - kept} of {counted[name].tokens} tokens)" for name in worst),
                   remedy)


def _unknown(counted: Mapping[str, Counted], what: str, vocabulary: Vocabulary) -> Finding:
    worst = sorted((name for name, one in counted.items() if one.unknown),
                   key=lambda name: (-counted[name].unknown / counted[name].tokens, -counted[name].unknown))
    unknown, tokens = (sum(getattr(one, part) for one in counted.values()) for part in ("unknown", "tokens"))
    letters = sum((counted[name].characters for name in worst), Counter[str]())
    named = [f"{ascii(letter) if letter.isspace() or not letter.isprintable() else letter} {count}"
             for letter, count in letters.most_common()
             if vocabulary.tokenizer.unk_token_id in vocabulary.encode(letter, UNLIMITED)]
    return Finding(f"of {len(counted)} videos have {what} with characters that the tokenizer does not know "
                   f"({100 * unknown / max(1, tokens):.2g} % of all tokens; {', '.join(named[:NAMED]) or 'in words'}"
                   + (", ...)" if len(named) > NAMED else ")"),
                   tuple(f"{name} ({counted[name].unknown} of {counted[name].tokens} tokens)" for name in worst),
                   "write them in other characters, or take a tokenizer that knows them (captioner.tokenizer)")
