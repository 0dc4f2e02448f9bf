"""Generation, and parsing of generated ids into events; parsing works on ids, never on decoded text."""

from collections.abc import Sequence
from itertools import groupby

import torch

from hicm.config import digest
from hicm.data.time_tokens import to_seconds
from hicm.errors import UserError
from hicm.systems.captioner.batch import Batch
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
def generate(model: Captioner, batch: Batch, vocabulary: Vocabulary, settings: DecodeSettings) -> list[list[int]]:
    """Generated ids of every video of a batch, including the decoder start token, padded to the longest.

    Raises UserError when the settings allow no generation, e.g. temperature 0, and when sampling finds no finite
    probabilities.
    """
    rule: Rule | None = EventGrammar(vocabulary) if settings.grammar else None
    return generate_from(model, encode_parts(model, batch), settings, rule, make_generators(batch, settings))


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


def parse_events(ids: Sequence[int], duration: float, vocabulary: Vocabulary,
                 keep_isolated: bool = False) -> list[Event]:
    """Events of one generated sequence, in generation order; ``duration`` in seconds.

    Two time tokens in a row (the last two, if there are more) start an event; the text up to the next such pair is its
    caption.  A pair without text, or whose end is not after its start, gives no event.  A single time token within a
    caption is dropped, or with ``keep_isolated`` (released behaviour) written out as ``<time=b>``.
    """
    events = []
    pair: tuple[int, int] | None = None
    words: list[str] = []

    def close() -> None:
        if pair is not None and words and pair[1] > pair[0]:
            start, end = (to_seconds(b, duration, vocabulary.bins) for b in pair)
            events.append(Event(Span(start, end), " ".join(words)))

    for run in _runs(ids, vocabulary):
        if isinstance(run, str):
            words.append(run)
        elif len(run) == 1:
            if keep_isolated:
                words.append(f"<time={run[0]}>")
        else:
            close()
            pair, words = (run[-2], run[-1]), []
    close()
    return events


def _runs(ids: Sequence[int], vocabulary: Vocabulary) -> list[list[int] | str]:
    """Maximal runs of time bins, and the texts between them; special ids and empty texts are removed."""
    ids = list(ids)
    if ids and ids[0] == PAD:
        ids = ids[1:]
    if EOS in ids:
        ids = ids[: ids.index(EOS)]
    ids = [i for i in ids if i not in vocabulary.special]
    runs: list[list[int] | str] = []
    for is_time, group in groupby(ids, key=lambda i: i >= vocabulary.text_size):
        if is_time:
            bins = [i - vocabulary.text_size for i in group]
            last = runs[-1] if runs else ""
            if isinstance(last, list):
                last.extend(bins)
            else:
                runs.append(bins)
        elif text := vocabulary.decode(list(group)):
            runs.append(text)
    return runs
