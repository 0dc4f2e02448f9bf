"""Blocks that make training fast: equal to torch's own in values and gradients, and dropout in distribution."""

import pytest
import torch
import torch.nn.functional as F

from hicm.nn import attention, smoothed_loss
from hicm.nn.dropout import Dropout, draw_mask, rounded


def leaves(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


def plain_attention(q, k, v, bias, mask, scale):
    scores = scale * q @ k.transpose(2, 3) + bias
    return scores.masked_fill(~mask, torch.finfo(torch.float32).min).softmax(-1) @ v


@pytest.mark.parametrize("at_once", [1, 80, 2**21])
@pytest.mark.parametrize(("scale", "heads"), [(1.0, 1), (0.5, 1), (1.0, 3)], ids=str)
def test_attention_and_its_gradients_are_those_of_the_formula(monkeypatch, at_once, scale, heads):
    monkeypatch.setattr(attention, "AT_ONCE", at_once)
    inputs = leaves((2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 7, 4), (1, 3, 5, 7), dtype=torch.float32)
    mask = torch.rand(2, heads, 5, 7) > 0.3
    mask[1, :, 2] = False  # attends to nothing, so to everything
    weight = torch.randn(2, 3, 5, 4)
    weight[1, :, 2] = 0  # such a query is padding, and nothing depends on it
    found = attention.attend(*inputs, mask, scale)
    expected = plain_attention(*inputs, mask, scale)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad((out * weight).sum(), inputs) for out in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_attention_with_dropout_has_the_gradients_of_the_mask_it_drew(monkeypatch):
    q, k, v, bias = leaves((1, 2, 6, 4), (1, 2, 6, 4), (1, 2, 6, 4), (1, 2, 6, 6), dtype=torch.float32)
    keep = torch.rand(1, 2, 6, 6) > 0.25
    monkeypatch.setattr(attention, "draw_mask", lambda shape, rate: keep)
    found = attention.attend(q, k, v, bias, None, 1.0, 0.25)
    expected = ((q @ k.transpose(2, 3) + bias).softmax(-1) * keep / 0.75) @ v
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(*(torch.autograd.grad(out.square().sum(), (q, k, v, bias)) for out in (found, expected)),
                            strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_attention_without_rows_has_gradients_of_zero():
    q, bias = torch.zeros(0, 2, 6, 4, requires_grad=True), torch.ones(1, 2, 6, 6, requires_grad=True)
    torch.full((72,), torch.nan)  # what lies in the memory that is used next
    attention.attend(q, q, q, bias).sum().backward()
    assert (bias.grad == 0).all()


def test_several_rows_add_up_in_the_gradient_of_the_bias(monkeypatch):
    monkeypatch.setattr(attention, "AT_ONCE", 36)  # one head of one row at a time
    q, bias = leaves((3, 2, 6, 4), (1, 2, 6, 6), dtype=torch.float32)
    ours = torch.autograd.grad(attention.attend(q, q, q, bias).square().sum(), bias)[0]
    theirs = torch.autograd.grad((((q @ q.transpose(2, 3) + bias).softmax(-1)) @ q).square().sum(), bias)[0]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_attention_in_bfloat16_is_close_to_that_in_float32():
    q, k, v, bias = leaves((2, 2, 9, 8), (2, 2, 9, 8), (2, 2, 9, 8), (1, 2, 9, 9), dtype=torch.float32)
    exact = attention.attend(q, k, v, bias)
    rounded_inputs = attention.attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), bias)
    assert rounded_inputs.dtype == torch.bfloat16
    torch.testing.assert_close(rounded_inputs.float(), exact, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("rate", [0.1, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_keeps_the_mean(rate, dtype):
    x = torch.ones(300, 1001, dtype=dtype, requires_grad=True)
    y = Dropout(rate)(x)
    y.float().sum().backward()
    assert torch.equal(y.detach(), x.grad), "values and gradients are scaled alike"
    share = float((y.detach() == 0).float().mean())
    assert share == pytest.approx(rate, abs=5 * (rate * (1 - rate) / x.numel()) ** 0.5)
    assert set(y.detach().unique().tolist()) == {0.0, float(torch.tensor(1 / (1 - rounded(rate)), dtype=dtype))}
    assert float(y.detach().float().mean()) == pytest.approx(1, abs=0.01)


def test_dropout_is_seeded_by_torch_and_off_in_evaluation():
    torch.manual_seed(3)
    one, other = draw_mask(torch.Size([50]), 0.5), draw_mask(torch.Size([50]), 0.5)
    torch.manual_seed(3)
    assert torch.equal(one, draw_mask(torch.Size([50]), 0.5)) and not torch.equal(one, other)
    x = torch.randn(4, 4)
    assert torch.equal(Dropout(0.5).eval()(x), x) and torch.equal(Dropout(0.0)(x), x)


@pytest.mark.parametrize("at_once", [1, 30, 2**24])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_and_its_gradients_are_those_of_cross_entropy(monkeypatch, at_once, smoothing):
    monkeypatch.setattr(smoothed_loss, "AT_ONCE", at_once)
    hidden, weight = leaves((13, 6), (11, 6), dtype=torch.float32)
    labels = torch.tensor([3, 1, 10, 0, 2, 2, 9, 0, 0, 5, 7, 1, 0])
    found = smoothed_loss.smoothed_loss(hidden, weight, labels, smoothing, 0)
    expected = F.cross_entropy(hidden @ weight.t(), labels, ignore_index=0, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-6)
    gradients = [torch.autograd.grad(0.5 * loss, (hidden, weight)) for loss in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


def test_the_loss_under_autocast_is_float32_from_products_in_bfloat16():
    hidden, weight = leaves((13, 6), (11, 6), dtype=torch.float32)
    labels = torch.arange(13) % 10 + 1
    with torch.autocast("cpu", torch.bfloat16):
        found = smoothed_loss.smoothed_loss(hidden, weight, labels, 0.1, 0)
        expected = F.cross_entropy((hidden @ weight.t()).float(), labels, reduction="sum", label_smoothing=0.1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(loss, (hidden, weight)) for loss in (found, expected)]
    for ours, theirs in zip(*gradients, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=0.03, rtol=0.03)
