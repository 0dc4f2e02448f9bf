"""The network of the parallel system on hand-made cases: sampling, padding, losses."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hicm.errors import UserError
from hicm.nn.segments import giou
from hicm.nn.weights import load_exactly
from hicm.systems.parallel import captioner
from hicm.systems.parallel.attention import DeformableAttention, Levels, taps, weighted_rows
from hicm.systems.parallel.batch import Item, collate
from hicm.systems.parallel.encoder import GROUPS, MaskedGroupNorm, positions
from hicm.systems.parallel.losses import ACTIVITYNET, LossModule, count_shares, counter, focal, loss_names
from hicm.systems.parallel.matcher import match
from hicm.systems.parallel.model import Parallel
from hicm.systems.parallel.names import own_name, own_state
from hicm.systems.parallel.settings import ObjectiveSettings, Settings
from tests.systems.parallel_golden import read_golden

SMALL = Settings(queries=5, width=32, hidden=48, heads=4, levels=3, points=2, dropout=0.0, memory_dropout=0.0,
                 word_dropout=0.0)
WIDTH, WORDS = 12, 20


def make_item(name: str, rows: int, recalled: int, events: int = 2) -> Item:
    rng = np.random.default_rng([rows, recalled])
    sentences = [[0, *rng.integers(1, WORDS + 1, 3 + number).tolist(), 0] for number in range(events)]
    return Item(name, rows + 0.5, rng.standard_normal((rows, WIDTH)).astype(np.float32),
                rng.standard_normal((recalled, WIDTH)).astype(np.float32),
                rng.uniform(0.1, 0.5, (events, 2)).astype(np.float32), sentences)


@pytest.fixture
def model() -> Parallel:
    """Weights that are not at their start, where all offsets are the same for all queries."""
    torch.manual_seed(0)
    model = Parallel(SMALL, WIDTH, WIDTH, WORDS)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model.eval()


def losses_of(model: Parallel) -> LossModule:
    return LossModule(model, ObjectiveSettings(l1=1.0), torch.tensor(ACTIVITYNET))


def assert_same_gradients(losses: LossModule, items: list[Item]) -> None:
    """Losses and gradients of one batch are the sums of those of its videos alone, and finite."""
    found = []
    for batches in ([collate(items)], [collate([item]) for item in items]):
        losses.zero_grad()
        sums = sum(losses(batch) for batch in batches)
        sums.sum().backward()
        found.append((sums.detach(), [weight.grad for weight in losses.parameters()]))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-4, rtol=1e-5)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert one.isfinite().all()
        torch.testing.assert_close(one, other, atol=1e-5 * max(1.0, float(other.abs().max())), rtol=0)


# sampling

@pytest.mark.parametrize("border", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_sampling_equals_that_of_torch(rows, border):
    torch.manual_seed(rows)
    table, places = torch.randn(rows, 3), torch.tensor([-3.0, -0.3, -0.01, 0.0, 0.2, 0.5, 0.97, 1.0, 1.04, 1.9, 1e9])
    found, weights = taps(places[None], torch.tensor([rows]), torch.tensor([0]), border)
    ours = weighted_rows(table, found.view(-1, 2), weights.view(-1, 2))
    grid = torch.stack([2 * places - 1, torch.zeros_like(places)], -1)[None, None]
    theirs = F.grid_sample(table.T[None, :, None], grid, "bilinear", "border" if border else "zeros",
                           align_corners=False)
    torch.testing.assert_close(ours, theirs[0, :, 0].T, atol=1e-5, rtol=0)


def test_what_lies_outside_is_zero_or_the_end():
    table, places = torch.tensor([[1.0], [5.0]]), torch.tensor([[-0.1, 1.1]])
    for border, expected in ((False, [0.3, 1.5]), (True, [1.0, 5.0])):
        rows, weights = taps(places, torch.tensor([2]), torch.tensor([0]), border)
        torch.testing.assert_close(weighted_rows(table, rows.view(-1, 2), weights.view(-1, 2))[:, 0],
                                   torch.tensor(expected))


def test_a_head_looks_where_its_bias_says():
    """Values are row numbers of one level: half a row before and after a centre of 4.5 is 4 and 5, at any length."""
    attention = DeformableAttention(4, 2, 1, 1)
    attention.initialise()
    with torch.no_grad():
        for layer in (attention.values, attention.output):
            layer.weight.copy_(torch.eye(4))
        attention.offsets.bias.copy_(torch.tensor([0.5, -0.5]))
    source, query = torch.arange(10.0)[None, :, None].expand(1, 10, 4).contiguous(), torch.zeros(1, 1, 4)
    levels = Levels((10,), torch.tensor([[10]]))
    found = attention(query, torch.tensor([[[0.5]]]), source, levels)
    torch.testing.assert_close(found[0, 0], torch.tensor([5.0, 5.0, 4.0, 4.0]))
    found = attention(query, torch.tensor([[[0.5, 0.4]]]), source, levels)  # half of 0.5 of 4 rows
    torch.testing.assert_close(found[0, 0], torch.tensor([5.5, 5.5, 3.5, 3.5]))


def test_the_masked_norm_is_the_norm_of_what_is_real():
    torch.manual_seed(0)
    ours, theirs = MaskedGroupNorm(GROUPS, 64), torch.nn.GroupNorm(GROUPS, 64)
    x, mask = torch.randn(2, 64, 9), torch.arange(9) < torch.tensor([[9], [4]])
    found = ours(x, mask)
    torch.testing.assert_close(found[0], theirs(x[:1])[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1, :, :4], theirs(x[1:, :, :4])[0], atol=1e-5, rtol=0)
    assert not found[1, :, 4:].any()


# shapes and batches

@pytest.mark.parametrize(("rows", "recalled"), [(1, 0), (1, 9), (7, 3), (100, 20), (137, 50), (3, 200)])
def test_any_length_gives_finite_numbers_of_the_right_shape(model, rows, recalled):
    batch = collate([make_item("a", rows, recalled)])
    output = model(batch)
    lengths = [rows, math.ceil(rows / 2), math.ceil(math.ceil(rows / 2) / 2)]
    assert output.video.shape == (1, sum(lengths), SMALL.width) and list(output.levels.sizes) == lengths
    for number, layer in enumerate(output.layers):
        assert layer.boxes.shape == (1, 5, 2) and layer.events.shape == (1, 5) and layer.counts.shape == (1, 21)
        assert layer.reference.shape == (1, 5, 2 if number else 1)
        assert all(x.isfinite().all() for x in (layer.hidden, layer.boxes, layer.events, layer.counts))
    losses = losses_of(model)
    losses(batch).sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def test_a_batch_is_what_its_videos_are_alone(model):
    """Lengths, recalled vectors and events differ: activations, sentences, losses and gradients are the same."""
    items = [make_item("a", 23, 4, 3), make_item("b", 9, 0, 1), make_item("c", 2, 11, 2), make_item("d", 14, 5, 0)]
    together, alone = collate(items), [collate([item]) for item in items]
    output, outputs = model(together), [model(batch) for batch in alone]
    for row, one in enumerate(outputs):
        torch.testing.assert_close(output.video[row][output.levels.mask[row]], one.video[0], atol=1e-5, rtol=0)
        for layer, other in zip(output.layers, one.layers, strict=True):
            for name in ("hidden", "events", "counts", "boxes"):
                torch.testing.assert_close(getattr(layer, name)[row], getattr(other, name)[0], atol=1e-5, rtol=0)
    assert_same_gradients(losses_of(model), items)


def test_a_sentence_said_in_training_has_the_log_probabilities_of_its_generation(model):
    batch = collate([make_item("a", 23, 4), make_item("b", 9, 2)])
    output = model(batch)
    pairs = torch.tensor(list(itertools.product(range(2), range(5))))
    inputs = model.caption_inputs(output, output.layers[-1], pairs[:, 0], pairs[:, 1])
    ids, logs = model.captions.greedy(inputs, 12)
    said = model.captions(inputs, F.pad(ids, (1, 0))[:, :-1]).gather(2, ids[:, :, None])[:, :, 0]
    torch.testing.assert_close(logs, said * (ids != 0), atol=1e-4, rtol=0)
    assert (ids != 0).any() and ((ids == 0).cumsum(1) * ids == 0).all(), "zeros follow the first zero"


def test_a_table_of_words_changes_nothing(model):
    """With few events, the word's part of the LSTM is made at every step; with many, it is looked up."""
    batch = collate([make_item("a", 23, 4), make_item("b", 9, 2)])
    with torch.no_grad():
        output = model(batch)
        pairs = torch.tensor(list(itertools.product(range(2), range(5))))
        few, many = (model.caption_inputs(output, output.layers[-1], *some.unbind(1)) for some in (pairs[:2], pairs))
    assert few.word_table is None and many.word_table.shape == (WORDS + 1, 4 * SMALL.width)
    found, expected = (model.captions.greedy(inputs, 12) for inputs in (many.take(torch.arange(2)), few))
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], atol=1e-5, rtol=0)


def test_sentences_do_not_depend_on_when_ended_ones_are_left_out(monkeypatch):
    """At every word, as on a CPU, or every few words, as on a GPU."""
    torch.manual_seed(1)
    head = captioner.CaptionHead(32, 3, 2, WORDS, 0.0).eval()
    levels = Levels((9, 5, 3), torch.tensor([[9, 5, 3], [4, 2, 1]]))
    with torch.no_grad():
        for weight in head.parameters():
            torch.nn.init.normal_(weight, std=0.6)
        inputs = head.prepare(torch.randn(2, 17, 32), levels, torch.arange(10) % 2, torch.randn(10, 32),
                              torch.rand(10, 2))
    expected = head.greedy(inputs, 12)
    assert len((expected[0] != 0).sum(1).unique()) > 2, "sentences of several lengths"
    monkeypatch.setattr(captioner, "check_interval", lambda device: 5)
    found = head.greedy(inputs, 12)
    assert torch.equal(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[1], atol=1e-5, rtol=0)


def test_what_is_recalled_is_the_first_of_the_copies(model):
    """The encoder's last layer makes only the rows that are kept."""
    x, lengths = torch.randn(2, 6, SMALL.width), torch.tensor([6, 4])
    levels = Levels((6, 6, 6), lengths[:, None].expand(-1, 3))
    position = positions(6, lengths, SMALL.width)
    every = model.encoder(x.repeat(1, 3, 1), position.repeat(1, 3, 1), levels)
    torch.testing.assert_close(model.encoder.recalled(x, lengths), every[:, :6])


def test_what_pads_a_sentence_is_not_computed(model, monkeypatch):
    batch = collate([make_item("a", 23, 4)])
    output = model(batch)
    inputs = model.caption_inputs(output, output.layers[-1], torch.zeros(3, dtype=torch.int64), torch.arange(3))
    words = torch.tensor([[0, 1, 0, 0, 0], [0, 1, 2, 3, 4], [0, 0, 0, 0, 0]])
    rows, step = [], model.captions.step
    monkeypatch.setattr(model.captions, "step", lambda word, *rest: rows.append(len(word)) or step(word, *rest))
    logs = model.captions(inputs, words)
    assert rows == [3, 2, 1, 1, 1]
    assert logs[0, 2:].eq(0).all() and logs[2, 1:].eq(0).all()
    for row, length in enumerate((2, 5, 1)):
        alone = model.captions(inputs.take(torch.tensor([row])), words[row:row + 1, :length])
        torch.testing.assert_close(logs[row, :length], alone[0], atol=1e-5, rtol=0)


def test_without_a_memory_nothing_of_one_is_there():
    names = [name for name, _ in Parallel(SMALL, WIDTH, 0, WORDS).named_parameters()]
    with_one = [name for name, _ in Parallel(SMALL, WIDTH, WIDTH, WORDS).named_parameters()]
    assert set(names) < set(with_one)
    assert all(name.startswith("projection.") or ".recalled." in name for name in set(with_one) - set(names))


def test_the_network_begins_as_published():
    torch.manual_seed(0)
    model = Parallel(Settings(queries=6, width=64, hidden=64), WIDTH, WIDTH, WORDS)
    batch = collate([make_item("a", 20, 4)])
    layers = model.eval()(batch).layers
    torch.testing.assert_close(layers[0].boxes[..., 1], torch.full((1, 6), 1 / (1 + math.exp(2))))
    torch.testing.assert_close(layers[1].boxes, layers[0].boxes)
    assert (layers[0].events.sigmoid() < 0.2).all()
    bias = model.encoder.layers[0].attention.offsets.bias.view(8, 4, 4)
    directions = [1, 1, 0, -1, -1, -1, 0, 1]
    torch.testing.assert_close(bias, torch.tensor(directions)[:, None, None] * torch.arange(1.0, 5).expand(8, 4, 4),
                               atol=1e-5, rtol=0)
    torch.testing.assert_close(model.captions.offsets.bias, torch.tensor([-1.5, -0.5, 0.5, 1.5]).repeat(4))


def test_every_released_name_is_one_of_ours():
    """The names in the published checkpoints, with the sizes of YouCook2."""
    golden = read_golden()
    own = Parallel(Settings(), 768, 768, golden.config["vocab_size"]).state_dict()
    found = {own_name(name): shape for name, shape in golden.parameter_shapes.items()}
    assert found == {name: list(weight.shape) for name, weight in own.items()}
    assert {own_name(name) for name in golden.dead_parameter_shapes} == {""}
    assert {own_name(name) for name in golden.aliases} < found.keys()


def test_every_key_of_a_released_model_is_accounted_for():
    golden = read_golden()
    names = {**golden.parameter_shapes, **dict.fromkeys(golden.aliases), **golden.dead_parameter_shapes}
    state = {name: torch.zeros(1) for name in names}
    own = own_state(state, "x.pth")
    assert len(own) == len(golden.parameter_shapes) == 151 and len(state) == 234, "the published checkpoint"
    with pytest.raises(UserError, match=r"x\.pth: holds other\.weight, which CM2 and PDVC do not have"):
        own_state(state | {"other.weight": torch.zeros(1)}, "x.pth")
    with pytest.raises(UserError, match=r"bbox_head\.1\.layers\.2\.bias differ from their copies"):
        own_state(state | {"bbox_head.1.layers.2.bias": torch.ones(1)}, "x.pth")
    model = Parallel(SMALL, WIDTH, WIDTH, WORDS)
    with pytest.raises(UserError, match=r"does not fit the model; other shapes: captions\.embeddings\.weight \(1,\)"):
        load_exactly(model, {name: torch.zeros(1) for name in model.state_dict()}, "x.pth", "take another")
    missing = dict(model.state_dict())
    missing.pop("encoder.levels")
    with pytest.raises(UserError, match=r"missing keys: encoder\.levels"):
        load_exactly(model, missing, "x.pth", "take another")


def test_mixed_precision_stays_near_float32(model):
    """train.precision=bf16: places are still computed in float32; losses and gradients are within a band."""
    batch, losses = collate([make_item("a", 230, 40, 3), make_item("b", 90, 9, 2)]), losses_of(model)
    found = []
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            layers, sums = model(batch).layers, losses(batch)
        assert sums.dtype == torch.float32 and {layer.boxes.dtype for layer in layers} == {torch.float32}
        model.zero_grad()
        sums.sum().backward()
        gradient = torch.cat([weight.grad.float().flatten() for weight in model.parameters()])
        found.append((torch.stack([layer.boxes for layer in layers]), sums.detach(), gradient))
    (boxes, sums, gradient), (mixed_boxes, mixed_sums, mixed_gradient) = found
    assert (mixed_boxes - boxes).abs().mean() < 0.001
    torch.testing.assert_close(mixed_sums, sums, atol=0, rtol=0.01)
    assert F.cosine_similarity(mixed_gradient, gradient, 0) > 0.99


# losses

def test_the_total_of_the_first_record_of_the_released_log():
    """28.547 was recorded, of losses that were rounded to three digits."""
    assert loss_names(2) == ("event", "iou", "l1", "count", "caption", "event_0", "iou_0", "l1_0", "count_0",
                             "caption_0")
    recorded = torch.tensor([0.345, 0.473, 1.0, 0.234, 5.796, 0.297, 0.485, 1.0, 0.219, 5.806])
    weights = LossModule(Parallel(SMALL, WIDTH, 0, WORDS), ObjectiveSettings(), torch.tensor(ACTIVITYNET)).weights
    assert float((weights * recorded).sum()) == pytest.approx(28.547, abs=0.01)


def test_losses_by_hand():
    event = focal(torch.tensor([0.0, math.log(3)]), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(event, torch.tensor([0.25 * 0.25 * math.log(2), 0.75 * 0.75 ** 2 * math.log(4)]))
    boxes = torch.tensor([[0.2, 0.4], [0.2, 0.4], [0.1, 0.2]])
    others = torch.tensor([[0.2, 0.4], [0.3, 0.2], [0.9, 0.2]])  # the same; half of it; apart
    torch.testing.assert_close(giou(boxes, others), torch.tensor([1.0, 0.5, -0.6]), atol=1e-4, rtol=0)
    shares = torch.tensor([0.0, 0.5, 0.25])
    near = 1 - math.exp(-1 / 8)
    expected = math.log(2) * (1 * near + 0.5 * 1 + 0.75 * near) / 3
    torch.testing.assert_close(counter(torch.zeros(1, 3), torch.tensor([1]), shares), torch.tensor([expected]))
    assert float(counter(torch.zeros(1, 3), torch.tensor([7]), shares)) > 0, "counts beyond the last are the last"
    torch.testing.assert_close(count_shares([1, 1, 2, 9], 3), torch.tensor([0, 0.5, 0.25, 0.25]))


def test_the_assignment_is_the_cheapest_one_not_the_greedy_one():
    logits, targets = torch.zeros(3), torch.tensor([[0.5, 0.2], [0.5, 0.22]])
    boxes = torch.tensor([[0.9, 0.1], [0.5, 0.2], [0.48, 0.2]])  # both events are nearest to query 1
    queries, events = match(logits, boxes, targets, 2.0, 4.0)
    assert sorted(zip(queries.tolist(), events.tolist(), strict=True)) in ([(1, 0), (2, 1)], [(1, 1), (2, 0)])
    more = match(logits, boxes, torch.rand(7, 2), 2.0, 4.0)
    assert more[0].tolist() == [0, 1, 2] and len(set(more[1].tolist())) == 3, "more events than queries"
    assert len(match(logits, boxes, torch.zeros(0, 2), 2.0, 4.0)[0]) == 0


@pytest.mark.gpu
def test_a_gpu_computes_the_same(model, monkeypatch):
    """Segments, scores, losses and sentences; without TF32, which torch uses for convolutions by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    batch = collate([make_item("a", 23, 4, 3), make_item("b", 9, 0, 1)])
    pairs = torch.tensor(list(itertools.product(range(2), range(5)))).T
    found = []
    for device in ("cpu", "cuda"):
        moved = batch.to(device)
        losses = losses_of(model.to(device)).to(device)
        with torch.no_grad():
            output = model(moved)
            ids, logs = model.captions.greedy(model.caption_inputs(output, output.layers[-1], *pairs.to(device)), 12)
            numbers = [losses(moved), logs, *(x for layer in output.layers for x in (layer.boxes, layer.events))]
        found.append((ids.tolist(), [x.cpu() for x in numbers]))
    torch.testing.assert_close(found[1][1], found[0][1], atol=1e-4, rtol=1e-4)
    assert found[1][0] == found[0][0]
