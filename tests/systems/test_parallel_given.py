"""Captions of the parallel system for given events: whose they are, what they depend on, and that there is one each."""

import dataclasses

import pytest
import torch

from hicm.systems.parallel.batch import collate
from hicm.systems.parallel.decode import describe
from hicm.systems.parallel.given import boxes_of_spans, caption_spans, reference
from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.settings import DecodeSettings
from hicm.systems.parallel.vocabulary import Vocabulary
from hicm.types import Span
from tests.systems.test_parallel_parts import SMALL, WIDTH, WORDS, make_item

VOCABULARY = Vocabulary([f"w{number}" for number in range(WORDS - 1)] + ["UNK"])
SETTINGS = DecodeSettings(max_words=6, empty="keep")
ITEMS = [make_item("a", 23, 4), make_item("b", 9, 0), make_item("c", 2, 11)]  # 23.5, 9.5 and 2.5 seconds
GIVEN = [[Span(3, 9), Span(0.5, 4), Span(3, 9)], [], [Span(0, 2.5), Span(1, 1), Span(-3, 80), Span(2, 1)]]


def make_model(layers: int = 2, border: bool = False) -> Parallel:
    """Weights that are not at their start, where all queries look alike."""
    torch.manual_seed(1)
    model = Parallel(dataclasses.replace(SMALL, decoder_layers=layers, queries=9), WIDTH, WIDTH, WORDS)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    torch.nn.init.normal_(model.captions.inputs.weight)
    torch.nn.init.normal_(model.captions.words.weight, std=3.0)
    torch.nn.init.normal_(model.decoder.embeddings.weight)
    with torch.no_grad():
        for head in model.decoder.boxes:
            head.layers[-1].bias.copy_(torch.tensor([0.0, -1.0]))  # short, so that most lie within the video
    model.border = border
    return model.eval()


def captions(model, items, given, settings=SETTINGS):
    return caption_spans(model, collate(items), given, VOCABULARY, settings)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_its_own_events_get_its_own_captions(layers):
    """As many as there are queries, so that none is left out; one layer looks at points, the others at segments."""
    model, batch = make_model(layers), collate(ITEMS[:2])
    with torch.no_grad():
        for head in model.heads:
            head.count.bias[9] += 1e6
    own = describe(model, batch, VOCABULARY, SETTINGS)
    again = captions(model, ITEMS[:2], [[event.span for event in events] for events in own])
    inside = [(one, other) for item, events, others in zip(ITEMS, own, again, strict=False)
              for one, other in zip(events, others, strict=True)
              if one.text and 0 < one.span.start < one.span.end < item.duration]
    assert len(inside) >= 4 and len({one.text for one, _ in inside}) > 1
    assert [one.text for one, _ in inside] == [other.text for _, other in inside]
    assert [other.score for _, other in inside] == pytest.approx([one.score for one, _ in inside], abs=1e-5)


def test_events_and_videos_are_captioned_alone():
    model = make_model()
    together = captions(model, ITEMS, GIVEN)
    assert [[event.span for event in events] for events in together] == GIVEN
    for item, spans, events in zip(ITEMS, GIVEN, together, strict=True):
        for span, event in zip(spans, events, strict=True):
            [[alone]] = captions(model, [item], [[span]])
            assert alone.text == event.text and alone.score == pytest.approx(event.score, abs=1e-5)
    assert captions(model, ITEMS[:1], [[]]) == [[]]


def test_the_place_decides():
    """Captions of one video differ by where the event lies, and not by what the query found there."""
    model, spans = make_model(), [Span(second, second + 3.0) for second in range(0, 20, 2)]
    [events] = captions(model, ITEMS[:1], [spans])
    layer = model(collate(ITEMS[:1])).layers[-1]
    video, query = torch.zeros(2, dtype=torch.int64), torch.tensor([4, 4])
    targets = torch.stack([layer.boxes[0, 4], torch.tensor([0.3, 0.2])])
    looked = reference(layer, video, query, targets)
    torch.testing.assert_close(looked[0], layer.reference[0, 4], atol=1e-5, rtol=0)
    assert (looked[1] - looked[0]).abs().max() > 0.01
    assert len({event.text for event in events}) > 1


def test_every_caption_has_a_word():
    model = make_model()
    with torch.no_grad():
        model.captions.words.bias[0] += 1e4
    assert not any(event.text for events in describe(model, collate(ITEMS), VOCABULARY, SETTINGS) for event in events)
    for spans, events in zip(GIVEN, captions(model, ITEMS, GIVEN), strict=True):
        assert len(events) == len(spans) and all(len(event.text.split()) == 1 for event in events)


def test_segments_are_cut_to_the_video():
    found = boxes_of_spans([Span(2, 4), Span(-5, 5), Span(12, 30), Span(3, 3), Span(4, 2)], 10.0)
    torch.testing.assert_close(found, torch.tensor([[0.3, 0.2], [0.25, 0.5], [1.0, 0.0], [0.3, 0.0], [0.3, 0.2]]))
    assert boxes_of_spans([], 10.0).shape == (0, 2)
