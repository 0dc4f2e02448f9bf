"""The authors' code beside ours: what it needs that is not there, and with a clone of it (HICM2_CODE), equality."""

import os
from types import SimpleNamespace

import pytest
import torch
from transformers import modeling_utils, utils
from transformers.modeling_outputs import BaseModelOutput

from hicm.errors import UserError
from hicm.systems.captioner.bench.ends import LIMIT, Ends
from hicm.systems.captioner.bench.generation import GenerationCase, until_end
from hicm.systems.captioner.bench.reference import FILES, Reference, load_code
from hicm.systems.captioner.bench.reference_search import Search
from hicm.systems.captioner.bench.step import StepCase
from hicm.systems.captioner.vocabulary import EOS

CODE = os.environ.get("HICM2_CODE", "")
needs_code = pytest.mark.skipif(not CODE, reason="needs a clone of the HiCM2 authors' repository, named by HICM2_CODE")


def write(folder, code=""):
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code if name.endswith("HiCM2.py") else "")


def test_a_folder_without_the_code_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / FILES[2]).unlink()
    with pytest.raises(UserError, match=r"model/vit.py is missing; clone https://github.com/ailab-kyunghee/HiCM2-DVC"):
        load_code(tmp_path)


@pytest.mark.parametrize(("code", "missing"), [
    ("from transformers.utils import add_start_docstrings, flux_capacitor", "flux_capacitor"),
    ("import no_such_package", "no_such_package"),
])
def test_what_is_missing_is_named(tmp_path, code, missing):
    write(tmp_path, code)
    with pytest.raises(UserError, match=f"cannot be imported with transformers .*{missing}"):
        load_code(tmp_path)


def test_transformers_is_left_as_it_was(tmp_path):
    before, had = modeling_utils.PreTrainedModel, hasattr(utils, "is_torch_fx_proxy")
    write(tmp_path, "from transformers.modeling_utils import PreTrainedModel\n"
                    "from transformers.utils import is_torch_fx_proxy\n"
                    "from transformers.utils.model_parallel_utils import get_device_map\n"
                    "Base = PreTrainedModel")
    code = load_code(tmp_path)
    assert code.Base is not before and modeling_utils.PreTrainedModel is before
    assert hasattr(utils, "is_torch_fx_proxy") == had


def test_another_model_is_refused(tmp_path):
    write(tmp_path, "from torch import nn\nclass Vid2Seq(nn.Linear):\n    def __init__(self, **_):\n"
                    "        super().__init__(2, 2)\n        self.LinearLayer = None\n"
                    "def LinearLayer(*_, **__):\n    return nn.Identity()")
    with pytest.raises(UserError, match="has other weights than ours"):
        Reference(tmp_path, StepCase("tiny", "cpu").model)


@needs_code
def test_losses_and_gradients_equal_ours():
    case = StepCase("tiny", "cpu")
    found, sides = [], (case.ours(released=True), case.plain(), case.reference(CODE))
    for module, loss, _ in sides:
        module.eval()
        value = loss()
        value.backward()
        found.append((value.item(), [weight.grad.clone() for weight in case.model.parameters()]))
        case.model.zero_grad()
    for value, gradients in found[1:]:
        assert value == pytest.approx(found[0][0], rel=1e-5)
        for one, other in zip(found[0][1], gradients, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)
    norms = []
    for *_, after in sides:
        with torch.no_grad():
            case.model.t5.shared.weight[-100:] *= 3
        after()
        norms.append(case.model.t5.shared.weight[-100:].norm().item())
    assert norms == pytest.approx([norms[0]] * 3)


@needs_code
def test_ids_equal_ours():
    case = GenerationCase("tiny", "cpu")
    reference = case.reference(CODE)
    for beams in (1, 4):
        assert reference(beams) == case.ours(beams) == case.plain(beams)


class Tuples(torch.nn.Module):
    """A T5 whose cache is a tuple per layer, of what was said so far: what it needs of the authors' one."""

    def __init__(self, t5):
        super().__init__()
        self.t5 = t5

    def forward(self, decoder_input_ids, past_key_values, encoder_outputs, attention_mask, **others):
        said = decoder_input_ids[:, None, :, None]
        if past_key_values is not None:
            said = torch.cat([past_key_values[0][0], said], 2)
        found = self.t5(decoder_input_ids=said[:, 0, :, 0], encoder_outputs=encoder_outputs,
                        attention_mask=attention_mask, use_cache=False)
        return SimpleNamespace(logits=found.logits[:, -1:], past_key_values=((said,),))

    def _reorder_cache(self, past, beam_idx):
        return tuple(tuple(one.index_select(0, beam_idx) for one in layer) for layer in past)


@pytest.mark.parametrize("beams", [1, 4])
def test_the_search_of_transformers_works_with_tuples(beams):
    case = GenerationCase("tiny", "cpu")
    states, mask = case.model.encode(case.batch)
    ids = Search(case.model.t5, Tuples(case.model.t5)).ids(
        encoder_outputs=BaseModelOutput(last_hidden_state=states), attention_mask=mask.long(), num_beams=beams,
        do_sample=False, max_new_tokens=case.size.tokens, logits_processor=case.ends.processors(beams))
    assert list(map(until_end, ids.tolist())) == case.plain(beams)


def test_videos_end_where_all_sides_are_told():
    ends = Ends(16, LIMIT, "cpu")
    assert ends.tokens.max() == 255 and ends.tokens.float().mean() == pytest.approx(107, abs=1)
    videos = torch.tensor([3, 8])
    ids = torch.zeros(2, int(ends.tokens[videos].min()), dtype=torch.int64)
    over = ends.tokens[videos] == ids.shape[1]
    scores = ends(ids, torch.zeros(2, 5), videos)
    assert over.tolist() in ([True, False], [False, True])
    assert scores[over].argmax() == EOS and scores[over].isneginf().sum() == 4
    assert scores[~over].isneginf().nonzero()[:, 1].tolist() == [EOS]
    assert torch.equal(ends.processors(1)[0](ids[:1], torch.zeros(1, 5)), Ends(16, LIMIT, "cpu")(
        ids[:1], torch.zeros(1, 5), torch.tensor([0])))
