"""Options of the parallel system that CM2 and PDVC do not have, on hand-made cases and made-up videos."""

import itertools
import json
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hicm.config import load_config
from hicm.errors import UserError
from hicm.nn.segments import tiou
from hicm.nn.weights import load_exactly
from hicm.systems.parallel.batch import Batch, collate
from hicm.systems.parallel.decode import Candidate, candidates, choose, describe
from hicm.systems.parallel.given import caption_spans
from hicm.systems.parallel.losses import LossModule, count_shares, focal, loss_names, varifocal
from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.overlap import FLOOR, GAMMA, overlap_loss, suppress_overlaps
from hicm.systems.parallel.settings import DecodeSettings, ObjectiveSettings, Settings
from hicm.systems.parallel.system import System
from hicm.systems.parallel.vocabulary import Vocabulary
from hicm.systems.parallel.weights import load_model, save_model
from hicm.types import Span
from tests.systems.test_parallel_parts import SMALL, WIDTH, WORDS, assert_same_gradients, make_item

NAMED = Vocabulary([f"w{number}" for number in range(1, WORDS)] + ["UNK"])
OPTIONS = {
    "overlap": {"objective": ObjectiveSettings(overlap=0.5)},
    "quality": {"objective": ObjectiveSettings(quality="tiou")},
    "query_dropout": {"query_dropout": 0.4},
    "self_attention": {"self_attention": False},
    "all": {"objective": ObjectiveSettings(overlap=0.5, quality="tiou"), "query_dropout": 0.4,
            "self_attention": False},
}

ITEMS = [make_item("a", 23, 4, 3), make_item("b", 9, 0, 1), make_item("c", 2, 11, 2), make_item("d", 14, 5, 0)]


def make_model(**changes) -> Parallel:
    """Random weights, so that queries differ."""
    torch.manual_seed(0)
    model = Parallel(replace(SMALL, **changes), WIDTH, WIDTH, WORDS)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


def losses_of(model: Parallel) -> LossModule:
    return LossModule(model, model.settings.objective, count_shares([1, 2, 2, 3], model.settings.max_events))


def make_batch(*events: int) -> Batch:
    return collate([make_item(str(place), 9 + 5 * place, 3 + place, count) for place, count in enumerate(events)])


def boxes_of(*spans: tuple[float, float]) -> Tensor:
    """Segments [1, N, 2] from starts and ends."""
    return torch.tensor([[((start + end) / 2, end - start) for start, end in spans]]).reshape(1, -1, 2)


# the overlap loss

def test_the_overlap_loss_by_hand():
    """Two queries that overlap by a third, the first of them on the event; one alone; one that touches it."""
    boxes = boxes_of((0.1, 0.3), (0.2, 0.4), (0.7, 0.8), (0.8, 0.9))
    weights = [GAMMA, GAMMA / 3 + (1 - GAMMA) * 2 / 3]  # tIoU with the event: 1 and 1/3
    expected = sum(weights) * -math.log(1 - 1 / 3) / 4
    found = overlap_loss(boxes, boxes_of((0.1, 0.3)), torch.tensor([1]))
    torch.testing.assert_close(found, torch.tensor([expected]), atol=1e-5, rtol=0)
    none = overlap_loss(boxes, boxes_of(), torch.tensor([0]))  # both are far from all events
    torch.testing.assert_close(none, torch.tensor([2 * (1 - GAMMA) * math.log(1.5) / 4]), atol=1e-5, rtol=0)


def test_a_query_is_compared_with_those_that_it_overlaps():
    """(0.0, 0.4) has a tIoU of 1/2 and 1/4 with two others, and 0 with two: on average 3/8."""
    boxes = boxes_of((0.0, 0.4), (0.0, 0.2), (0.3, 0.4), (0.6, 0.7), (0.8, 0.9))
    overlaps = [3 / 8, 1 / 2, 1 / 4]
    expected = (1 - GAMMA) * sum(-math.log(1 - one) for one in overlaps) / 5
    found = overlap_loss(boxes, boxes_of(), torch.tensor([0]))
    torch.testing.assert_close(found, torch.tensor([expected]), atol=1e-5, rtol=0)
    kept = torch.tensor([[True, True, False, True, False]])  # now 1/2 on both sides, of three queries
    expected = (1 - GAMMA) * 2 * math.log(2) / 3
    found = overlap_loss(boxes, boxes_of(), torch.tensor([0]), kept)
    torch.testing.assert_close(found, torch.tensor([expected]), atol=1e-5, rtol=0)


def test_the_overlap_loss_draws_segments_apart_and_keeps_what_fits():
    boxes = boxes_of((0.2, 0.4), (0.25, 0.45)).requires_grad_()
    overlap_loss(boxes, boxes_of((0.2, 0.4)), torch.tensor([1])).sum().backward()
    moved = boxes.detach() - 0.01 * boxes.grad
    assert tiou(moved[0, 0], moved[0, 1]) < tiou(boxes[0, 0], boxes[0, 1])
    near, far = (overlap_loss(boxes, boxes_of(event), torch.tensor([1])) for event in ((0.2, 0.45), (0.8, 0.9)))
    assert near < far


segments = st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=7)


@settings(max_examples=50)
@given(segments, st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), max_size=4), st.randoms())
def test_the_overlap_loss_is_finite_and_knows_no_order(boxes, targets, random):
    """Any segments at all: of no length, equal ones, beyond the ends."""
    made, events = torch.tensor([boxes], requires_grad=True), torch.tensor([len(targets)])
    wanted = torch.tensor([targets]).reshape(1, -1, 2)
    loss = overlap_loss(made, wanted, events)
    loss.sum().backward()
    assert 0 <= loss.item() <= (1 - GAMMA) * -math.log(FLOOR) + 1e-3 and made.grad.isfinite().all()
    shuffled = torch.tensor([random.sample(boxes, len(boxes))])
    torch.testing.assert_close(overlap_loss(shuffled, wanted, events), loss.detach(), atol=1e-4, rtol=1e-3)
    padded = torch.cat([wanted, torch.full((1, 2, 2), 0.5)], 1)
    torch.testing.assert_close(overlap_loss(made, padded, events), loss)


@settings(max_examples=50)
@given(st.lists(st.floats(0.125, 1, width=32), min_size=1, max_size=6), st.booleans())
def test_segments_that_do_not_overlap_cost_nothing_and_stay(lengths, on_events):
    """They may lie on events; half of each place is used."""
    step = 1 / len(lengths)
    boxes = torch.tensor([[((place + 0.5) * step, length * step / 2) for place, length in enumerate(lengths)]])
    targets = boxes.clone() if on_events else boxes[:, :0]
    boxes.requires_grad_()
    loss = overlap_loss(boxes, targets, torch.tensor([targets.shape[1]]))
    loss.sum().backward()
    assert loss.item() == 0 and not boxes.grad.any()


def test_the_loss_of_overlaps_is_there_when_it_is_asked_for():
    assert loss_names(2, overlap=True) == ("event", "iou", "l1", "count", "caption", "overlap", "event_0", "iou_0",
                                           "l1_0", "count_0", "caption_0", "overlap_0")
    batch, plain, with_it = make_batch(2, 1), make_model(), make_model(objective=ObjectiveSettings(overlap=0.5))
    before, after = losses_of(plain.eval())(batch), losses_of(with_it.eval())
    assert after.weights.tolist() == [2, 4, 0, 0.5, 2, 0.5] * 2
    found = after(batch).view(2, 6)
    torch.testing.assert_close(found[:, :5].flatten(), before)
    last = with_it(batch).layers[-1]
    torch.testing.assert_close(found[0, 5], overlap_loss(last.boxes, batch.boxes, batch.events).sum())
    assert (found[:, 5] > 0).all()


# tIoU as what is learnt

def test_the_varifocal_loss_by_hand():
    logits, wanted = torch.tensor([math.log(3), 0.0, math.log(3)]), torch.tensor([0.5, 1.0, 0.0])
    expected = [0.5 * -(0.5 * math.log(0.75) + 0.5 * math.log(0.25)), math.log(2), 0.75 * 0.75 ** 2 * math.log(4)]
    torch.testing.assert_close(varifocal(logits, wanted), torch.tensor(expected))
    torch.testing.assert_close(varifocal(logits[2:], wanted[2:]), focal(logits[2:], wanted[2:]), msg="not matched")


@given(st.floats(0.01, 0.99))
def test_the_probability_of_least_loss_is_the_tiou(overlap):
    logit = torch.tensor([math.log(overlap / (1 - overlap))], dtype=torch.float64, requires_grad=True)
    varifocal(logit, torch.tensor([overlap], dtype=torch.float64)).sum().backward()
    assert abs(logit.grad.item()) < 1e-9


def test_matched_queries_learn_their_tiou():
    batch, model = make_batch(2, 1), make_model(objective=ObjectiveSettings(quality="tiou")).eval()
    losses, layer = losses_of(model), model(batch).layers[-1]
    video, query, event = losses.pairs(layer, batch)
    expected = 0.0
    for row, count in enumerate(batch.events.tolist()):
        wanted = torch.zeros(5)
        for place in (video == row).nonzero().flatten():
            wanted[query[place]] = tiou(layer.boxes[row, query[place]], batch.boxes[row, event[place]])
        expected += varifocal(layer.events[row], wanted).sum().item() / count
    assert losses(batch)[0].item() == pytest.approx(expected, rel=1e-5)
    plain = losses_of(make_model().eval())(batch)
    torch.testing.assert_close(losses(batch)[1:5], plain[1:5])
    losses(batch)[0].backward()
    assert all(not weight.grad.any() for weight in model.decoder.boxes[-1].parameters() if weight.grad is not None)


# query dropout

def test_a_share_of_the_queries_is_left_out_but_one_stays_for_each_event():
    model, events = make_model(query_dropout=0.6), torch.tensor([0, 1, 4, 9])
    assert model.draw_queries(events).sum(1).tolist() == [2, 2, 4, 5]  # of 5 queries
    drawn = torch.stack([model.draw_queries(events) for _ in range(300)])
    shares = drawn.float().mean(0)
    torch.testing.assert_close(shares[0], torch.full((5,), 0.4), atol=0.12, rtol=0)
    assert (drawn[:, 0] != drawn[:, 1]).any(), "every video has its own"
    assert model.eval().draw_queries(events) is None and make_model().train().draw_queries(events) is None
    assert make_model(query_dropout=0.9).draw_queries(torch.tensor([0])).sum() == 1


def test_queries_left_out_have_no_part_in_a_step(monkeypatch):
    """Losses are those of a model that never had them."""
    batch, model = make_batch(2, 1), make_model(query_dropout=0.4, objective=ObjectiveSettings(l1=1.0, overlap=0.5))
    kept = torch.tensor([True, False, True, True, False])
    monkeypatch.setattr(model, "draw_queries", lambda events: kept.expand(len(events), -1))
    losses = losses_of(model)
    found = losses(batch)
    found.sum().backward()
    gradients = model.decoder.embeddings.weight.grad
    assert not gradients[~kept].any() and gradients[kept].any(1).all()
    fewer = Parallel(replace(model.settings, queries=3, query_dropout=0.0), WIDTH, WIDTH, WORDS)
    state = model.state_dict()
    fewer.load_state_dict(state | {"decoder.embeddings.weight": state["decoder.embeddings.weight"][kept]})
    torch.testing.assert_close(losses_of(fewer)(batch), found, atol=1e-4, rtol=1e-5)


def test_no_event_ends_after_its_video():
    """As float32, 137.4 seconds are a little more or less."""
    model, how = make_model().eval(), DecodeSettings(max_words=1, empty="keep")
    with torch.no_grad():
        model.decoder.boxes[-1].layers[-1].bias[1] += 9  # segments are as long as the video
    for duration in (137.4, 52.91, 310.7, 199.35, 0.3, 741.003):
        [events] = describe(model, collate([replace(make_item("a", 5, 0), duration=duration)]), NAMED, how)
        assert max(event.span.end for event in events) == duration


# all of them

@pytest.mark.parametrize("option", OPTIONS)
def test_a_batch_is_what_its_videos_are_alone(option, monkeypatch):
    """Rows, recalled vectors and events differ; each video keeps the same queries in both."""
    model = make_model(**OPTIONS[option])  # no dropout but that of queries
    masks = [model.draw_queries(torch.tensor([count])) for count in range(4)]
    if model.settings.query_dropout:
        monkeypatch.setattr(model, "draw_queries", lambda events: torch.cat([masks[one] for one in events.tolist()]))
    assert_same_gradients(losses_of(model), ITEMS)


@pytest.mark.parametrize("option", OPTIONS)
def test_predictions_of_a_batch_are_those_of_its_videos_alone(option):
    """Activations, the events that are found under a limit on their overlap, and captions of given events."""
    model, how = make_model(**OPTIONS[option]).eval(), DecodeSettings(max_words=6, overlap=0.3, empty="keep")
    given = [[Span(1, 9), Span(2, 20)], [], [Span(0, 2)], [Span(3, 3)]]
    with torch.no_grad():
        for head in model.heads:
            head.count.bias[4] += 100  # several events are chosen
    batch, alone = collate(ITEMS), [collate([item]) for item in ITEMS]
    with torch.no_grad():
        output, outputs = model(batch), [model(one) for one in alone]
    for row, one in enumerate(outputs):
        for layer, other in zip(output.layers, one.layers, strict=True):
            for name in ("hidden", "events", "counts", "boxes"):
                torch.testing.assert_close(getattr(layer, name)[row], getattr(other, name)[0], atol=1e-5, rtol=1e-5)
    for together, single in (
            (describe(model, batch, NAMED, how), [describe(model, one, NAMED, how)[0] for one in alone]),
            (caption_spans(model, batch, given, NAMED, how),
             [caption_spans(model, one, [spans], NAMED, how)[0] for one, spans in zip(alone, given, strict=True)])):
        assert sum(map(len, single)) >= 4
        for events, others in zip(together, single, strict=True):
            assert [event.text for event in events] == [event.text for event in others]
            for event, other in zip(events, others, strict=True):
                assert (event.span.start, event.span.end, event.score) == pytest.approx(
                    (other.span.start, other.span.end, other.score), abs=2e-4)


@pytest.mark.slow
def test_made_up_videos_are_learnt_with_all_options():
    """Segments, their number and their words."""
    torch.manual_seed(0)
    model = Parallel(replace(SMALL, queries=6, **OPTIONS["all"] | {"query_dropout": 0.2}), WIDTH, 0, WORDS)
    items = [make_item("a", 20, 0, 2), make_item("b", 31, 0, 3)]
    spans = {"a": [(0.1, 0.3), (0.6, 0.9)], "b": [(0.0, 0.2), (0.4, 0.5), (0.7, 1.0)]}
    items = [replace(item, boxes=boxes_of(*spans[item.id])[0].numpy()) for item in items]
    batch, losses = collate(items), losses_of(model)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(250):
        optimiser.zero_grad()
        (losses.weights * losses(batch)).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
    for item, found in zip(items, describe(model.eval(), batch, NAMED, DecodeSettings(overlap=0.7)), strict=True):
        assert [event.text for event in found] == [NAMED.decode(ids[1:]) for ids in item.sentences]
        starts = torch.tensor([[event.span.start, event.span.end] for event in found]) / item.duration
        torch.testing.assert_close(starts, torch.tensor(spans[item.id]), atol=0.05, rtol=0)


# self-attention

def test_without_self_attention_queries_do_not_see_each_other():
    batch = make_batch(2)
    for self_attention in (True, False):
        model = make_model(self_attention=self_attention).eval()
        before = model(batch).layers[-1].boxes
        with torch.no_grad():
            model.decoder.embeddings.weight[1] += 1.0
        after = model(batch).layers[-1].boxes
        assert not torch.equal(before[:, 1], after[:, 1])
        others = [0, 2, 3, 4]
        assert torch.equal(before[:, others], after[:, others]) != self_attention


def test_the_weights_of_self_attention_are_there_with_it_only(tmp_path):
    with_it, without = make_model(), make_model(self_attention=False)
    names, fewer = list(with_it.state_dict()), set(without.state_dict())
    gone = [name for name in names if name not in fewer]
    assert fewer < set(names) and all(".queries." in name or ".norm2." in name for name in gone)
    assert len(gone) == 2 * (4 + 2)
    # the state of an optimiser is saved in this order
    norms = [name for name, _ in with_it.decoder.layers[0].named_parameters() if name.startswith("norm")]
    assert norms == [f"norm{number}.{kind}" for number, kind in itertools.product((1, 2, 3), ("weight", "bias"))]
    with pytest.raises(UserError, match=r"unused keys: decoder\.layers\.0\.norm2\.bias"):
        load_exactly(without, with_it.state_dict(), "x.pth", "take another")
    save_model(without, NAMED, tmp_path / "saved")
    assert load_model(tmp_path / "saved")[0].settings == without.settings
    config = load_config(None, ["system=parallel", "parallel.queries=5", "parallel.width=32", "parallel.hidden=48",
                                "parallel.heads=4", "parallel.levels=3", "parallel.points=2"])
    with pytest.raises(UserError, match=r"was trained with parallel\.self_attention=False, found True"):
        System.load(tmp_path / "saved", config)


def test_models_saved_before_the_options_are_read(tmp_path):
    model = make_model()
    save_model(model, NAMED, tmp_path)
    path = tmp_path / "parallel.json"
    about = json.loads(path.read_text())
    for name in ("self_attention", "query_dropout"):
        del about["settings"][name]
    for name in ("overlap", "quality"):
        del about["settings"]["objective"][name]
    del about["settings"]["decode"]["overlap"]
    path.write_text(json.dumps(about))
    assert load_model(tmp_path)[0].settings == model.settings == SMALL
    assert Settings().self_attention and not Settings().query_dropout and Settings().decode.overlap == 1


# the limit at decoding

def test_spans_that_overlap_a_better_one_are_passed_over():
    spans = [Span(0, 10), Span(1, 10), Span(5, 15), Span(20, 30), Span(0, 10), Span(3, 3), Span(3, 3)]
    assert suppress_overlaps(spans, 1.0, 9) == list(range(7)), "1: any"
    assert suppress_overlaps(spans, 0.9, 9) == [0, 1, 2, 3, 5, 6], "tIoU of 0.9, 1/3, 0, 1; of no length: 0"
    assert suppress_overlaps(spans, 0.5, 9) == [0, 2, 3, 5, 6]
    assert suppress_overlaps(spans, 0.3, 2) == [0, 3]
    assert suppress_overlaps(spans, 0.0, 9) == [0, 3, 5, 6] and suppress_overlaps([], 0.5, 3) == []


def test_the_next_candidate_takes_the_place_of_one_that_overlaps():
    found = [Candidate(query, Span(start, start + 4), event, [1, 2, 0], -1.0)
             for query, (start, event) in enumerate([(0, 0.9), (1, 0.8), (8, 0.7), (20, 0.6)])]
    assert [one.query for one in choose(found, 2, DecodeSettings())] == [0, 1]
    assert [one.query for one in choose(found, 2, DecodeSettings(overlap=0.5))] == [0, 2]
    assert [one.query for one in choose(found[:2], 2, DecodeSettings(overlap=0.5))] == [0]


@pytest.mark.parametrize("limit", [1.0, 0.6, 0.2, 0.0])
def test_no_candidate_that_would_be_chosen_is_left_without_a_caption(limit, monkeypatch):
    """The chosen ones are those among all candidates, however few are captioned at once."""
    how = DecodeSettings(max_words=6, overlap=limit)
    model, batch = make_model(queries=40).eval(), make_batch(2, 1, 3)
    with torch.no_grad():
        output = model(batch)
    every = candidates(model, batch, output, [40] * 3, how)
    assert all(len(found) > 20 for found in every)
    monkeypatch.setattr("hicm.systems.parallel.decode.CAPTIONED_AT_ONCE", 2)
    for number in (1, 3, 6):
        found = candidates(model, batch, output, [number] * 3, how)
        for some, rest in zip(found, every, strict=True):
            assert [one.query for one in choose(some, number, how)] == [
                one.query for one in choose(rest, number, how)]
