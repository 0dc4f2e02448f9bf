"""Equality with the reference implementation of MESM on deterministic weights, for every case of the golden.

"released" has the published mix-up of padding, "corrected" has not; see `moments_golden`.
"""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hicm.systems.moments.decode import fitted, ranked_windows
from hicm.systems.moments.matcher import match
from hicm.systems.moments.model import Moments
from hicm.systems.moments.names import is_used, own_name, own_state
from hicm.systems.moments.objective import LossModule, loss_counts, loss_names, loss_weights
from hicm.systems.moments.settings import DecodeSettings
from hicm.training.optim import optimiser_step
from tests.systems.moments import moments_golden as made
from tests.systems.moments.moments_golden import close

if not made.case_names():
    pytest.skip("needs the golden of MESM: HICM_MESM_PARITY, or the folder 'shared' beside the checkout",
                allow_module_level=True)


@pytest.fixture(scope="module", params=made.case_names())
def golden(request) -> SimpleNamespace:
    return made.read_case(request.param)


def padded(found: torch.Tensor, width: int) -> np.ndarray:
    """found [B, N] with zeros up to ``width``."""
    return torch.nn.functional.pad(found, (0, width - found.shape[1])).numpy()


def test_batches_are_exact(golden):
    batch, arrays, config = made.make_batch(golden.name), golden.arrays, golden.config
    rows, words = arrays["batch.clip_mask"].shape[1], arrays["batch.words_label"].shape[1]
    assert list(batch.texts) == golden.batch_sentence
    assert [batch.ids[video] for video in batch.video.tolist()] == golden.batch_video
    np.testing.assert_array_equal(torch.bincount(batch.group), arrays["batch.num_clips"])
    np.testing.assert_array_equal(batch.lengths[batch.video], arrays["batch.video_rows"])
    close(np.array(batch.durations, np.float32)[batch.video], arrays["batch.duration"], 0)
    for name, found, width in (("clip_mask", batch.relevant, rows), ("words_weight", batch.weights, words),
                               ("words_label", batch.labels, words), ("unknown_mask", batch.unknown, words)):
        np.testing.assert_array_equal(padded(found, width), arrays[f"batch.{name}"], name)
    np.testing.assert_array_equal(padded(batch.word_mask, words), arrays["common.words_mask"])
    if "batch.words_id" in arrays and made.is_clip(golden):
        ids = [made.word_ids(text, config.max_words_l) for text in batch.texts]
        assert [row[:len(one)] for row, one in zip(arrays["batch.words_id"].tolist(), ids, strict=True)] == ids
    seen = batch.rows[batch.video]
    close(seen[:, ::4, :8], arrays["batch.video_feat_head"], 1e-6)
    close(seen[:, ::4, -4:], arrays["batch.video_feat_tail"], 1e-6)


def test_names_of_separate_networks(golden):
    """TACoS: both directions of frames and words have a feed-forward network of their own, ``linear1_1`` and so on."""
    shapes = dict(golden.parameter_shapes)
    for name, shape in golden.parameter_shapes.items():
        if name.startswith("enhance_encoder.") and (".linear" in name or ".norm" in name):
            stem, kind = name.rsplit(".", 1)
            shapes[f"{stem}_1.{kind}"] = shape
    own = replace(made.settings_of(golden, "corrected"), shared_feed=False)
    model = Moments(own, golden.config.v_feat_dim, golden.config.t_feat_dim, len(made.vocabulary(golden)))
    model.load_state_dict(own_state({name: torch.zeros(shape) for name, shape in shapes.items()}))


def test_targets(golden):
    batch, arrays = made.make_batch(golden.name), golden.arrays
    if "batch.norm_span" in arrays:
        close(batch.windows[:, 0], arrays["batch.norm_span"], 1e-6)
        close(batch.hulls, arrays["batch.norm_moment"], 1e-6)
    else:
        np.testing.assert_array_equal(batch.counts, arrays["batch.windows_per_query"])
        found = torch.cat([windows[:count] for windows, count in zip(batch.windows, batch.counts, strict=True)])
        close(found[:, 0] - found[:, 1] / 2, arrays["batch.windows"][:, 0], 1e-6)
        close(found[:, 0] + found[:, 1] / 2, arrays["batch.windows"][:, 1], 1e-6)
        close(padded(batch.ratings, 75), arrays["batch.saliency_label"], 0)


@pytest.fixture(scope="module", params=["corrected", pytest.param("released", marks=pytest.mark.slow)])
def case(request, golden) -> SimpleNamespace:
    """The model and its output, the golden's arrays of one mode."""
    arrays = {name.removeprefix(f"{request.param}."): array for name, array in golden.arrays.items()
              if name.startswith((f"{request.param}.", "common."))}
    model, batch, draws = made.make_model(golden, request.param), made.make_batch(golden.name), made.make_draws(golden)
    draws = SimpleNamespace(**{**vars(draws), "masked": draws.masked[:, :batch.words.shape[1]]})
    losses = LossModule(model, model.settings.objective)
    output = model(batch, draws)
    means = losses.of(output, batch, draws) / loss_counts(batch, golden.config.num_queries, golden.config.dec_layers)
    return SimpleNamespace(golden=golden, mode=request.param, arrays=arrays, model=model, batch=batch, draws=draws,
                           losses=losses, output=output, means=means)


def cut(x: torch.Tensor, mask: torch.Tensor, rows: int, step: int = 4) -> np.ndarray:
    """Every ``step``-th row and every eighth channel of x [B, N, d], zero beyond the mask, N up to ``rows``."""
    x = (x * mask[..., None]).detach()
    x = torch.nn.functional.pad(x, (0, 0, 0, rows * step - x.shape[1])) if x.shape[1] <= (rows - 1) * step else x
    return x[:, ::step, ::8].numpy()


def test_what_the_layers_compute(case):
    arrays, output, batch = case.arrays, case.output, case.batch
    mask, words = batch.row_mask, batch.word_mask
    rows, length = arrays["fw_video"].shape[1], arrays["common.words_mask"].shape[1]
    for name, found, tolerance in (
            ("common.position_codes", case.model.positions(batch), 3e-6),
            ("common.projected_video", output.frames[batch.video], 1e-5),
            ("fw_video", output.encoded.aware, 3e-5), ("fw_video_negative", output.negative.aware, 3e-5),
            ("aligned_video", output.encoded.aligned, 3e-5), ("memory", output.encoded.memory, 1e-4)):
        close(cut(found, mask, rows), arrays[name], tolerance)
    close(cut(output.words, words, length, 1), arrays["common.projected_words"], 1e-5)
    close(output.sentence.detach(), arrays["ss_token"], 3e-6)
    close(output.encoded.pooled.detach(), arrays["memory_global"], 1e-4)
    close(output.negative.pooled.detach(), arrays["memory_global_negative"], 1e-4)
    for name, found in (("saliency", output.encoded.saliency), ("saliency_negative", output.negative.saliency)):
        close(padded((found * mask).detach(), arrays[name].shape[1]), arrays[name], 1e-4)
    logits = (output.word_logits * words[..., None]).detach()
    close(torch.nn.functional.pad(logits, (0, 0, 0, length - logits.shape[1])), arrays["mlm_logits"], 3e-5)


def test_what_the_decoder_predicts(case):
    for number, layer in enumerate(case.output.layers):
        close(layer.hidden[..., ::8].detach(), case.arrays["decoder_states"][number], 1e-4)
        close(layer.reference.detach(), case.arrays["references"][number], 1e-5)
        close(layer.labels.detach(), case.arrays["pred_logits"][number], 2e-4)
        close(layer.boxes.detach(), case.arrays["pred_spans"][number], 2e-5)


def test_every_moment_is_matched_to_its_window(case):
    for number, layer in enumerate(case.output.layers):
        found = match(layer, case.batch.windows, case.batch.counts, case.losses.settings)
        np.testing.assert_array_equal(torch.stack(found, 1), case.arrays[f"matched_layer{number}"])


def test_submissions(case):
    """Windows in seconds, clamped and rounded as published (moments.decode.fit: grid)."""
    config, batch = case.golden.config, case.batch
    with torch.no_grad():
        output = case.model(batch)
    durations = torch.tensor(batch.durations, dtype=torch.float64)[batch.video]
    found = ranked_windows(output.layers[-1], durations)
    fit = DecodeSettings(fit="grid", clamp=config.max_ts_val, grid=max(config.clip_len, 0))
    lines, swapped = case.golden.submission[case.mode], 0
    assert [(line["query"], line["vid"]) for line in lines] == [
        (text, batch.ids[video]) for text, video in zip(batch.texts, batch.video.tolist(), strict=True)]
    for row, line in enumerate(lines):
        expected = np.array(line["pred_relevant_windows"])
        close(found[row, :, 2], expected[:, 2], 1e-4)
        windows = found[row, :, :2].clamp(0, config.max_ts_val).numpy()
        ends = fitted(found[row].numpy(), durations[row].item(), fit)[:, :2]
        tolerance = np.full(ends.shape, 2e-4)
        if config.clip_len > 0:
            steps = windows / config.clip_len
            tolerance[np.abs(steps - np.floor(steps) - 0.5) * config.clip_len < 1e-4] = config.clip_len + 1e-6
        for place in np.flatnonzero((np.abs(ends - expected[:, :2]) > tolerance).any(1)):
            others = np.abs(found[row, :, 2].numpy() - found[row, place, 2].item()) < 1e-5
            assert others.sum() > 1, (row, place)  # such rows may change places
            swapped += 1
        saliency = output.encoded.saliency[row][batch.row_mask[row]]
        close(saliency, line["pred_saliency_scores"], 2e-3 * max(1, saliency.abs().max().item()))
    assert swapped <= 2


def weighted(case) -> torch.Tensor:
    return case.means * loss_weights(case.losses.settings, case.golden.config.dec_layers)


def test_losses(case):
    names = loss_names(case.golden.config.dec_layers)
    for name, expected in zip(case.golden.loss_names, case.arrays["losses"], strict=True):
        if name.startswith("loss_"):
            [own] = made.theirs([name])
            close(case.means[names.index(own)].item(), expected, 1e-5 * max(1, expected))
    np.testing.assert_allclose(weighted(case).sum().item(), case.arrays["total_loss"], rtol=1e-5)
    np.testing.assert_allclose(weighted(case)[:6].sum().item(), case.arrays["detection_loss"], rtol=1e-5)


def check_norms(case, expected: np.ndarray) -> None:
    own = dict(case.model.named_parameters())
    root = np.sqrt((expected ** 2).sum())
    for name, norm in zip(case.golden.gradient_norm_names, expected, strict=True):
        if not is_used(name):
            assert name in case.golden.parameters_without_gradient
            continue
        gradient = own[own_name(name)].grad
        found = 0.0 if gradient is None else gradient.norm().item()
        tolerance = 0.1 if name.endswith("activation.weight") else 0.02
        assert abs(found - norm) <= tolerance * max(norm, 1e-4 * root), name


def test_gradients_of_windows(case):
    weighted(case)[:6].sum().backward(retain_graph=True)
    check_norms(case, case.arrays["gradient_norms_detection"])
    case.model.zero_grad()


def test_gradients_and_one_step(case):
    """Last, as it changes the weights.

    Adam's first step divides each gradient by itself.  Where it is next to nothing, float32 decides its sign (a few
    activations lie within rounding of their kink: float64 gives 3e-9 where float32 gives 9e-8); only its size is known.
    """
    weighted(case).sum().backward()
    check_norms(case, case.arrays["gradient_norms"])
    config, own = case.golden.config, dict(case.model.named_parameters())
    slices = {name: tuple(slice(*ends) for ends in found) for name, found in case.golden.after_step.items()}
    gradients = {name: own[own_name(name)].grad[found].clone() for name, found in slices.items()}
    optimiser = torch.optim.AdamW(case.model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    norm = optimiser_step(case.model, optimiser, config.lr, config.grad_clip)
    np.testing.assert_allclose(norm.item(), case.arrays["grad_norm"], rtol=1e-4)
    for name, part in slices.items():
        found, expected = own[own_name(name)].detach()[part].numpy(), case.arrays[f"after_step:{name}"]
        sure = (gradients[name].abs() > 0.005 * gradients[name].square().mean().sqrt()).numpy()
        assert sure.mean() > 0.75
        close(found[sure], expected[sure], 6e-5)
        close(found, expected, 2 * config.lr)
    with torch.no_grad():
        output = case.model(case.batch, case.draws)
        means = case.losses.of(output, case.batch, case.draws) / loss_counts(case.batch, config.num_queries,
                                                                             config.dec_layers)
    total = (means * loss_weights(case.losses.settings, config.dec_layers)).sum().item()
    np.testing.assert_allclose(total, case.arrays["total_loss_after_step"], rtol=2e-3)
