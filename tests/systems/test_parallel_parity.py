"""Equality with the reference implementation of CM2 on deterministic weights, all videos in a batch.

"border" is what the released code computes on CPU, "zeros" what it computes on GPU (`parallel_golden`).
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hicm.systems.parallel.decode import candidates, choose
from hicm.systems.parallel.losses import NAMES, loss_names
from hicm.systems.parallel.names import own_name
from hicm.systems.parallel.settings import DecodeSettings
from hicm.training.optim import optimiser_step
from tests.systems import parallel_golden as made

THEIRS = dict(zip(NAMES, ("loss_ce", "loss_giou", "loss_bbox", "loss_counter", "loss_caption"), strict=True))
AS_RELEASED = DecodeSettings(empty="keep")


@pytest.fixture(scope="module")
def golden() -> SimpleNamespace:
    return made.read_golden()


@pytest.fixture(scope="module", params=["zeros", pytest.param("border", marks=pytest.mark.slow)])
def case(request, golden) -> SimpleNamespace:
    """The model, its output for all videos, and the golden's arrays for one way of padding."""
    arrays = {name.removeprefix(f"{request.param}."): golden.arrays[name] for name in golden.arrays.files
              if name.startswith(f"{request.param}.")}
    model, batch = made.make_model(golden, request.param == "border"), made.make_batch(golden)
    with torch.no_grad():
        output = model(batch)
    return SimpleNamespace(model=model, batch=batch, output=output, arrays=arrays, events=golden.final_events,
                           padding=request.param, captioned=candidates(model, batch, output, [100] * 5, AS_RELEASED))


def close(found, expected, tolerance: float) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=tolerance)


def test_words_and_targets_are_exact(golden):
    batch, arrays = made.make_batch(golden), golden.arrays
    np.testing.assert_array_equal(batch.words, arrays["caption_tokens"])
    np.testing.assert_array_equal((arrays["caption_lengths"] > 0).sum(1), batch.events)
    np.testing.assert_array_equal(batch.boxes, arrays["target_boxes"])


def test_recalled_vectors(golden):
    for row, (vectors, nodes) in enumerate(made.recall(golden)):
        close(vectors[:, ::4], golden.arrays["retrieved"][row], 1e-6)
        np.testing.assert_array_equal(np.sort(nodes, 1), golden.arrays["retrieved_indices"][row])
    for row, (vectors, _) in enumerate(made.recall(golden, training=True)):
        close(vectors[:, ::4], golden.arrays["retrieved_train"][row], 1e-6)


def test_what_the_layers_compute(case):
    arrays, output = case.arrays, case.output
    close(output.recalled[:, ::5, ::4], arrays["text_memory"], 5e-5)
    for row, mask in enumerate(output.levels.mask):
        close(output.video[row][mask][::16, ::4], arrays[f"memory.{row}"], 5e-5)
    close(output.layers[0].reference, arrays["init_reference"], 5e-5)
    step = output.layers[0].hidden.shape[1] // 10
    for number, (layer, tolerance) in enumerate(zip(output.layers, (5e-5, 3e-4), strict=True)):
        close(layer.hidden[:, ::step, ::4], arrays["hidden"][:, number], tolerance)
        close(layer.events, arrays["class_logits"][:, number], 3e-4)
        close(layer.counts, arrays["count_logits"][:, number], 3e-4)
        close(layer.boxes, arrays["boxes"][:, number], 5e-5)


def test_sentences_scores_and_places_of_all_queries(case):
    arrays, equal = case.arrays, 0
    for row, found in enumerate(case.captioned):
        order = arrays["ranked_query_ids"][row]
        scores = dict(zip(order, arrays["ranked_proposal_scores"][row], strict=True))
        places = {query: place for place, query in enumerate(order)}
        for query, one in zip(order, found, strict=True):
            assert one.query == query or abs(scores[one.query] - scores[query]) < 1e-4
            place = places[one.query]
            close(one.event, scores[one.query], 1e-4)
            close([one.span.start, one.span.end], arrays["ranked_timestamps"][row, place], 0.02)
            if one.ids == arrays["caption_ids"][row, one.query].tolist():
                equal += 1
                close(one.words, arrays["ranked_sentence_scores"][row, place], 5e-3)
    assert equal >= 495, f"{equal} of 500 sentences"


def test_the_chosen_events(case, golden):
    vocabulary, numbers = made.vocabulary(golden), case.output.layers[-1].counts.argmax(1).tolist()
    for video, found, number in zip(case.batch.ids, case.captioned, numbers, strict=True):
        expected = case.events[case.padding][video]
        chosen = choose(found, number, AS_RELEASED)
        assert [one.query for one in chosen] == [one["query_id"] for one in expected]
        assert [vocabulary.decode(one.ids) for one in chosen] == [one["sentence"] for one in expected]
        assert {one["pred_event_count"] for one in expected} == {number}
        close([one.joint(AS_RELEASED) for one in chosen], [one["joint_score"] for one in expected], 1e-4)
        close([[one.span.start, one.span.end] for one in chosen], [one["timestamp"] for one in expected], 0.02)


def test_queries_that_cannot_be_chosen_are_not_worded(case):
    """The same events are chosen as from all queries."""
    numbers = case.output.layers[-1].counts.argmax(1).tolist()
    few = candidates(case.model, case.batch, case.output, numbers, AS_RELEASED)
    assert sum(map(len, few)) < 300 < sum(map(len, case.captioned))
    for some, every, number in zip(few, case.captioned, numbers, strict=True):
        assert [(one.query, one.ids) for one in choose(some, number, AS_RELEASED)] == [
            (one.query, one.ids) for one in choose(every, number, AS_RELEASED)]


@pytest.fixture(scope="module")
def trained(case, golden) -> SimpleNamespace:
    """Losses and gradients of the mean of the videos' totals, from the training path."""
    batch, losses = made.make_batch(golden, training=True), made.make_losses(case.model)
    output = case.model(batch)
    means = losses.of(output, batch) / len(batch.ids)
    total = (means * losses.weights).sum()
    total.backward()
    yield SimpleNamespace(batch=batch, losses=losses, output=output, means=means.detach(), total=total.item())
    case.model.zero_grad()


def columns(golden) -> list[int]:
    """Where the golden has our losses."""
    named = [name.partition("_") for name in loss_names(2)]
    return [golden.loss_names.index(THEIRS[name] + line + layer) for name, line, layer in named]


def test_every_event_is_matched_to_its_query(case, trained):
    for number, layer in enumerate(trained.output.layers):
        video, query, event = trained.losses.pairs(layer, trained.batch)
        for row in range(len(trained.batch.ids)):
            for found, name in ((query, "matched_query"), (event, "matched_event")):
                expected = case.arrays[name][number, row]
                assert found[video == row].tolist() == expected[expected >= 0].tolist()


def test_losses(case, trained, golden):
    close(trained.means, case.arrays["losses"].mean(0)[columns(golden)], 2e-4)
    close(trained.total, case.arrays["total_loss"].mean(), 5e-4)


def test_gradients_and_one_step(case, trained, golden):
    """Last, as it changes the weights."""
    own = dict(case.model.named_parameters())
    slices = {name: own[own_name(name)] for name in golden.gradient_slices}
    norm = torch.stack([weight.grad.norm() for weight in own.values()]).norm().item()
    assert norm == pytest.approx(float(case.arrays["grad_norm_mean"]), rel=5e-4)
    if case.padding == "border":
        return
    for name, weight in slices.items():
        expected = golden.arrays[f"grad_mean.{name}"]
        close(corner(weight.grad), expected, 0.01 * np.abs(expected).max())
    config = golden.config
    optimiser = torch.optim.Adam(case.model.parameters(), lr=config["lr"], weight_decay=config["weight_decay"])
    optimiser_step(case.model, optimiser, config["lr"], config["grad_clip"])
    for name, weight in slices.items():
        close(corner(weight), golden.arrays[f"step_mean.{name}"], 2e-6)
    with torch.no_grad():
        total = (trained.losses(trained.batch) * trained.losses.weights).sum() / len(trained.batch.ids)
    close(total, golden.arrays["total_loss_after_step_mean"].mean(), 0.01)


def corner(weight: torch.Tensor) -> np.ndarray:
    return weight.detach().reshape(weight.shape[0], -1)[:8, :8].numpy()


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_every_video_alone(golden, padding):
    """Losses and gradient norms, video by video."""
    model, batch = made.make_model(golden, padding == "border"), made.make_batch(golden, training=True)
    losses = made.make_losses(model)
    for row in range(len(batch.ids)):
        one = made.take(batch, row)
        found = losses(one)
        total = (found * losses.weights).sum()
        total.backward()
        norm = torch.stack([weight.grad.norm() for weight in model.parameters()]).norm().item()
        close(found.detach(), golden.arrays[f"{padding}.losses"][row, columns(golden)], 2e-4)
        close(total.item(), golden.arrays[f"{padding}.total_loss"][row], 5e-4)
        assert norm == pytest.approx(float(golden.arrays[f"{padding}.grad_norm"][row]), rel=5e-4)
        model.zero_grad()
