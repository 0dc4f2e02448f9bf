"""Prediction: a captioner and videos in, ``{id: events}`` out; interrupted work is kept and continued."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from transformers import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from hicm.config import PredictConfig, digest
from hicm.files import append
from hicm.systems.captioner.batch import Batch, collate
from hicm.systems.captioner.dataset import VideoDataset
from hicm.systems.captioner.decode import parse_events
from hicm.systems.captioner.grammar import EventGrammar
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.vocabulary import Vocabulary
from hicm.types import Event

Result = dict[str, list[dict[str, Any]]]


@torch.inference_mode()
def generate(model: Captioner, batch: Batch, vocabulary: Vocabulary, config: PredictConfig) -> list[list[int]]:
    """Generated ids of every video of a batch, the decoder start included."""
    states, mask = model.encode(batch)
    grammar = [EventGrammar(vocabulary)] if config.grammar else None
    how = ({"do_sample": True, "num_beams": 1, "top_p": config.top_p, "temperature": config.temperature}
           if config.sample else {"do_sample": False, "num_beams": config.beams})
    if config.beams > 1 and not config.sample:
        how["length_penalty"] = config.length_penalty
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())  # the library's own is sized by the encoder's layers
    ids = model.t5.generate(encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask.long(),
                            past_key_values=cache, max_new_tokens=config.max_tokens,
                            repetition_penalty=config.repetition_penalty, logits_processor=grammar, **how)
    return ids.tolist()


def predict(model: Captioner, dataset: VideoDataset, vocabulary: Vocabulary, config: PredictConfig,
            device: torch.device | str = "cpu", rows: Iterable[int] | None = None, journal: Path | None = None,
            identity: str = "", progress: bool = True) -> Result:
    """Events of every video (of ``rows``), in the order of the data set: ``{id: [{"sentence", "timestamp"}]}``.

    Batches hold videos of like speech length.  With ``journal``, every finished batch is appended to that file, and
    a later call with the same ``identity`` and settings asks the model only for what is not in it.
    """
    rows = list(range(len(dataset)) if rows is None else rows)
    header = digest({"identity": identity, "predict": vars(config)}, 16)
    done = _read_journal(journal, header)
    todo = [row for row in rows if dataset.videos[row].id not in done]
    todo.sort(key=lambda row: len(dataset.speech_ids(row)), reverse=True)
    batches = [todo[i:i + config.batch] for i in range(0, len(todo), config.batch)]
    model.eval()
    with tqdm(total=len(rows), initial=len(rows) - len(todo), desc="predict", unit="video",
              disable=not progress) as bar:
        for part in batches:
            batch = collate([dataset[0, row] for row in part]).to(device)
            if config.sample:  # a batch's draw depends on its videos alone, so a resumed run draws the same
                torch.manual_seed(int(digest([config.seed, batch.ids]), 16))
            for video, duration, ids in zip(batch.ids, batch.durations,
                                            generate(model, batch, vocabulary, config), strict=True):
                events = parse_events(ids, duration, vocabulary, config.isolated_time_tokens == "keep")
                done[video] = [as_json(event) for event in events]
            _append(journal, header, {video: done[video] for video in batch.ids})
            bar.update(len(part))
    return {dataset.videos[row].id: done[dataset.videos[row].id] for row in rows}


def as_json(event: Event) -> dict[str, Any]:
    """An event in the form of a predictions file; times in seconds."""
    return {"sentence": event.text, "timestamp": [event.span.start, event.span.end]}


def _append(journal: Path | None, header: str, events: Result) -> None:
    if journal is not None:
        append(journal, json.dumps({"settings": header, "events": events}, ensure_ascii=False))


def _read_journal(journal: Path | None, header: str) -> Result:
    done: Result = {}
    if journal is None or not journal.exists():
        return done
    for line in _lines(journal):
        if line.get("settings") == header:
            done.update(line["events"])
    return done


def _lines(journal: Path) -> Iterator[dict[str, Any]]:
    with open(journal, encoding="utf-8") as stream:
        for line in stream:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:  # the line that was being written when the run was killed
                continue
