"""Generation, and parsing of generated ids into events; parsing works on ids, never on decoded text."""

from collections.abc import Sequence
from itertools import groupby

import torch

from hicm.config import digest
from hicm.data.time_tokens import to_seconds
from hicm.errors import UserError
from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.biases import with_biases
from hicm.systems.captioner.confidence import Confidence, confidences
from hicm.systems.captioner.decoder import Decoder
from hicm.systems.captioner.grammar import EventGrammar
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.parts import Part, encode_parts
from hicm.systems.captioner.repeats import NoRepeats
from hicm.systems.captioner.search import Rule, beam_search, best_of, one_by_one, sampled
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary
from hicm.types import Event, Span


@torch.inference_mode()
def generate(model: Captioner, batch: Batch, vocabulary: Vocabulary, settings: DecodeSettings,
             parts: Sequence[Part] = ()) -> list[list[int]]:
    """Generated ids of every video of a batch, including the decoder start token, padded to the longest.

    ``parts``: the encoder states of the batch, where they are known.  Raises UserError when the settings allow no
    generation, e.g. temperature 0, and when sampling finds no finite probabilities.
    """
    rule = with_biases(settings, vocabulary, EventGrammar(vocabulary) if settings.grammar else None)
    return generate_from(model, parts or encode_parts(model, batch), settings, rule, make_generators(batch, settings))


@torch.inference_mode()
def find_events(model: Captioner, batch: Batch, vocabulary: Vocabulary, settings: DecodeSettings) -> list[list[Event]]:
    """The events of every video of a batch with their confidence, those below ``min_confidence`` left out.

    Raises UserError as `generate` does.
    """
    parts = encode_parts(model, batch)
    rows = generate(model, batch, vocabulary, settings, parts)
    keep = settings.isolated_time_tokens == "keep"
    sure = confidences(model, parts, rows, settings)
    found = [parse_events(row, duration, vocabulary, keep, confidence)
             for row, duration, confidence in zip(rows, batch.durations, sure, strict=True)]
    return [[event for event in events if event.score is None or event.score >= settings.min_confidence]
            for events in found]


def generate_from(model: Captioner, parts: Sequence[Part], settings: DecodeSettings, rule: Rule | None = None,
                  generators: Sequence[torch.Generator] = ()) -> list[list[int]]:
    """`generate` for encoder states.

    ``rule`` decides which ids may follow, ``generators`` are those of the videos, for sampling.
    """
    for name in ("repetition_penalty", *(("temperature",) if settings.sample else ())):
        if not getattr(settings, name) > 0:
            raise UserError(f"captioner.decode: {name}={getattr(settings, name)}: expected a strictly positive float; "
                            "correct it")
    if settings.no_repeats:
        rule = NoRepeats(settings.no_repeats, model.text_size, rule)
    beams = 1 if settings.sample else settings.beams
    decoder = Decoder(model, parts, beams, settings.max_tokens)
    videos = torch.tensor([video for part in parts for video in part.videos], device=parts[0].states.device)
    if beams > 1:
        found = beam_search(decoder, videos, settings, rule)
    else:
        found = one_by_one(decoder, videos, settings, rule,
                           sampled(settings, generators) if settings.sample else best_of)
    longest = max(map(len, found.values()))
    return [found[video] + [PAD] * (longest - len(found[video])) for video in range(len(found))]


def make_generators(batch: Batch, settings: DecodeSettings) -> list[torch.Generator]:
    """A random generator of each video, for sampling: seeded by its id, so that other videos do not matter."""
    if not settings.sample:
        return []
    return [torch.Generator(batch.speech.device).manual_seed(int(digest([settings.seed, video]), 16))
            for video in batch.ids]


def parse_events(ids: Sequence[int], duration: float, vocabulary: Vocabulary, keep_isolated: bool = False,
                 confidence: Confidence | None = None) -> list[Event]:
    """Events of one generated sequence, in generation order; ``duration`` in seconds.

    Two time tokens in a row (the last two, if there are more) start an event; the text up to the next such pair is its
    caption.  A pair without text, or whose end is not after its start, gives no event.  A single time token within a
    caption is dropped, or with ``keep_isolated`` (released behaviour) written out as ``<time=b>``.  ``confidence`` is
    asked for the score of each event.
    """
    events = []
    times: list[int] = []  # places of the pair that is open
    words: list[str] = []
    places: list[int] = []  # of the words

    def close() -> None:
        bins = [ids[place] - vocabulary.text_size for place in times]
        if words and bins and bins[1] > bins[0]:
            span = Span(*(to_seconds(b, duration, vocabulary.bins) for b in bins))
            events.append(Event(span, " ".join(words), None if confidence is None else confidence(times, places)))

    for run, text in _runs(ids, vocabulary):
        if text:
            words.append(text)
            places += run
        elif len(run) == 1:
            if keep_isolated:
                words.append(f"<time={ids[run[0]] - vocabulary.text_size}>")
        else:
            close()
            times, words, places = run[-2:], [], []
    close()
    return events


def _runs(ids: Sequence[int], vocabulary: Vocabulary) -> list[tuple[list[int], str]]:
    """Maximal runs of time tokens and of words: the places of their ids, and the texts of words, '' for times.

    Special ids and empty texts are removed.
    """
    begin = 1 if len(ids) and ids[0] == PAD else 0
    end = ids.index(EOS, begin) if EOS in ids[begin:] else len(ids)
    places = [place for place in range(begin, end) if ids[place] not in vocabulary.special]
    runs: list[tuple[list[int], str]] = []
    for is_time, group in groupby(places, key=lambda place: ids[place] >= vocabulary.text_size):
        own = list(group)
        if not is_time:
            if text := vocabulary.decode([ids[place] for place in own]):
                runs.append((own, text))
        elif runs and not runs[-1][1]:
            runs[-1][0].extend(own)
        else:
            runs.append((own, ""))
    return runs
