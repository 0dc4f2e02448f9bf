"""Generation, and parsing of generated ids into events; parsing works on ids, never on decoded text."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, LogitsProcessor, LogitsProcessorList
from transformers.modeling_outputs import BaseModelOutput

from hicm.data.time_tokens import to_seconds
from hicm.errors import UserError, reason
from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.grammar import EventGrammar
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.settings import DecodeSettings
from hicm.systems.captioner.vocabulary import EOS, PAD, Vocabulary
from hicm.types import Event, Span


@torch.inference_mode()
def generate(model: Captioner, batch: Batch, vocabulary: Vocabulary, settings: DecodeSettings) -> list[list[int]]:
    """Generated ids of every video of a batch, including the decoder start token.

    Raises UserError when transformers refuses the settings, e.g. temperature 0, when sampling finds no finite
    probabilities, and when the memory does not suffice.
    """
    return generate_from(model, *model.encode(batch), settings,
                         EventGrammar(vocabulary) if settings.grammar else None)


def generate_from(model: Captioner, states: Tensor, mask: Tensor, settings: DecodeSettings,
                  rule: LogitsProcessor | None = None) -> list[list[int]]:
    """`generate` for encoder states [B, S, d] and their mask [B, S]; ``rule`` decides which ids may follow."""
    grammar = None if rule is None else LogitsProcessorList([rule])
    how: dict[str, Any] = {"do_sample": settings.sample, "num_beams": 1 if settings.sample else settings.beams}
    if settings.sample:
        how |= {"top_p": settings.top_p, "temperature": settings.temperature}
    elif settings.beams > 1:
        how["length_penalty"] = settings.length_penalty
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())  # the default cache is sized by the encoder's layers
    try:
        ids = model.t5.generate(encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask.long(),
                                past_key_values=cache, max_new_tokens=settings.max_tokens,
                                repetition_penalty=settings.repetition_penalty, logits_processor=grammar, **how)
    except (ValueError, RuntimeError) as error:
        said = str(error)
        if "allocate" in said:
            raise UserError(f"captioner.decode: the memory does not suffice ({reason(error)}); lower "
                            "captioner.decode.batch or beams") from error
        if isinstance(error, ValueError) or "probability tensor" in said:
            raise UserError(f"captioner.decode: captions cannot be generated under these settings ({reason(error)}); "
                            "correct them") from error
        raise
    return ids.tolist()


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
