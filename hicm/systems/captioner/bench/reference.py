"""The public code of HiCM2, imported from a clone of its repository, with weights of ours.

It was written for transformers 4.28.  Its T5, visual encoder and losses run as they are.  What it takes from
transformers that is no longer there, or works differently, is replaced at import: the base class of models (`_Base`,
with masks as they were, and the search of the installed transformers) and helpers that are not called here (`_ABSENT`).
Its search in the memory is replaced by what is recalled, which is given to all sides.
"""

import ast
import contextlib
import copy
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import LogitsProcessorList

from hicm.errors import UserError, reason
from hicm.systems.captioner.batch import Batch
from hicm.systems.captioner.bench.made_up import BINS
from hicm.systems.captioner.bench.reference_search import Search
from hicm.systems.captioner.model import Captioner
from hicm.systems.captioner.released.checkpoint import released_name
from hicm.systems.captioner.t5 import match_norms
from hicm.systems.captioner.vocabulary import PAD

SOURCE = "https://github.com/ailab-kyunghee/HiCM2-DVC"
FILES = ("model/HiCM2.py", "model/modeling_t5.py", "model/vit.py")
PACKAGE = "hicm2_reference"  # what its folder ``model`` is called here
VISUAL = 768  # the width of features that its code takes for granted


class Reference:
    """The authors' model.  Its parameters are those of ``ours``, so that training one trains both."""

    def __init__(self, folder: str | Path, ours: Captioner) -> None:
        code = load_code(Path(folder))
        self.recalled: Tensor | None = None
        with torch.device("meta"):
            self.model = _build(code, ours)
        self.model.softattention_select = lambda *_, **__: (self.recalled, None)
        _give_weights(self.model, ours, folder)
        self.model.to(ours.t5.device)
        self.model.t5_model.__dict__["search"] = Search(ours.t5, self.model.t5_model)  # no module of its own

    def training(self, batch: Batch) -> tuple[nn.Module, Callable[[], Tensor], Callable[[], None]]:
        """The model, the loss of a step and what follows a step, as in its dvc_ret.py."""
        def loss() -> Tensor:
            self.recalled = batch.memory
            generative, video = self.model(batch.frames, _tokens(batch.speech), _tokens(batch.target), mode="train")
            denoising, _ = self.model(video, _tokens(batch.noisy_speech), _tokens(batch.noisy_target), mode="train")
            return generative["loss"] + denoising["loss"]

        @torch.no_grad()
        def after() -> None:
            for weight in (self.model.t5_model.shared.weight, self.model.t5_model.lm_head.weight):
                match_norms(weight, BINS)

        return self.model, loss, after

    @torch.inference_mode()
    def generate(self, batch: Batch, beams: int, most: int, processors: LogitsProcessorList) -> list[list[int]]:
        """Ids of every video, from the decoder start token on; ``most``: new tokens."""
        self.recalled, self.model.t5_model.processors = batch.memory, processors
        return self.model.eval().generate(batch.frames, _tokens(batch.speech), num_beams=beams, max_length=most)


def load_code(folder: Path) -> ModuleType:
    """Its module HiCM2.  Raises UserError when files are missing, or it needs what is not here."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"--reference {folder}: {missing[0]} is missing; clone {SOURCE} there")
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]
    package = ModuleType(PACKAGE)
    package.__path__ = [str(folder / "model")]
    sys.modules[PACKAGE] = package
    try:
        with _as_it_was(folder):
            return importlib.import_module(f"{PACKAGE}.HiCM2")
    except (ImportError, AttributeError, SyntaxError, TypeError) as error:
        raise UserError(f"--reference {folder}: cannot be imported with transformers {transformers.__version__} "
                        f"({reason(error)}); check out the state of May 2025 (9ec33d5)") from error


def _build(code: ModuleType, ours: Captioner) -> Any:
    """Their model in the sizes of ours."""
    config, settings, width = ours.t5.config, ours.config, ours.feature_width
    values = config.to_dict() | {
        "tie_word_embeddings": config.scale_decoder_outputs, "dense_act_fn": config.dense_act_fn,
        "is_gated_act": config.is_gated_act, "use_cache": True, "use_return_dict": True, "output_attentions": False,
        "output_hidden_states": False}
    arguments = SimpleNamespace(ret2t5_proj="deep", ret_option="hier_concat", ret_encoder="avg", window_size=0)
    model = code.Vid2Seq(
        t5_path=_Where(SimpleNamespace(**values)), num_features=ours.frames, embed_dim=width,
        depth=settings.visual_depth, heads=settings.visual_heads, mlp_dim=settings.visual_mlp,
        vis_drop=settings.visual_dropout, enc_drop=settings.encoder_dropout, dec_drop=settings.decoder_dropout,
        tokenizer=_Tokenizer(config.vocab_size), num_bins=BINS, label_smoothing=0.1, memory_bank={}, args=arguments)
    if width != VISUAL:  # it takes this width for granted
        model.proj_v2t = None
        model.ret2t5_proj = nn.Sequential(*(code.LinearLayer(width, width, dropout=settings.memory_dropout, relu=relu)
                                            for relu in (True, False)))
    return model


def _give_weights(model: nn.Module, ours: Captioner, folder: str | Path) -> None:
    own = dict(ours.named_parameters(remove_duplicate=False))
    names = {name: released_name(name) for name in model.state_dict()}
    apart = sorted(own.keys() ^ set(names.values()))
    if apart:
        raise UserError(f"--reference {folder}: its model has other weights than ours ({apart[0]}, {len(apart)} in all)"
                        "; check out the state of May 2025 (9ec33d5)")
    model.load_state_dict({name: own[own_name] for name, own_name in names.items()}, assign=True)


def _tokens(ids: Tensor) -> dict[str, Tensor]:
    return {"input_ids": ids, "attention_mask": ids != PAD}


class _Tokenizer:
    """What its model asks of a tokenizer; ids are what is compared, not texts."""

    pad_token_id = PAD

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def batch_decode(self, ids: Tensor, skip_special_tokens: bool) -> list[list[int]]:
        return ids.tolist()


class _Where(str):
    """In place of a path to weights: a configuration."""

    config: Any

    def __new__(cls, config: Any) -> "_Where":
        made = super().__new__(cls, "made-up")
        made.config = config
        return made


class _Base(nn.Module):
    """What its T5 needs of the `PreTrainedModel` of transformers 4.28."""

    search: Search
    processors: LogitsProcessorList

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: _Where, local_files_only: bool, **own: Any) -> "_Base":
        return cls(copy.deepcopy(pretrained_model_name_or_path.config), **own)

    def post_init(self) -> None:
        """Weights are given later."""

    def resize_token_embeddings(self, size: int) -> None:
        """They have their size."""

    def get_head_mask(self, mask: None, layers: int) -> list[None]:
        return [mask] * layers

    def invert_attention_mask(self, mask: Tensor) -> Tensor:
        """[B, S] with 1 where there is something -> [B, 1, 1, S], to be added to scores."""
        return _added(mask[:, None, None, :])

    def get_extended_attention_mask(self, mask: Tensor, shape: tuple[int, int]) -> Tensor:
        """The same, and in a decoder nothing that comes later is seen."""
        mask = mask[:, None, None, :]
        if self.config.is_decoder:
            said, all_ = shape[1], mask.shape[-1]
            mask = mask * torch.ones(said, all_, device=mask.device).tril(all_ - said)
        return _added(mask)

    def generate(self, top_p: float, temperature: float, **how: Any) -> Tensor:
        """What its code asks of `generate`; nothing is sampled."""
        return self.search.ids(logits_processor=self.processors, **how)


def _added(mask: Tensor) -> Tensor:
    return (1 - mask.float()) * torch.finfo(torch.float32).min


def _unchanged(*_: Any, **__: Any) -> Callable[[Any], Any]:
    return lambda function: function


# Names that its files import from transformers, which may lack them: decorators for documentation, lists, and functions
# that are not called here.
_ABSENT: dict[str, Any] = {
    "ALL_LAYERNORM_LAYERS": [], "DUMMY_INPUTS": [], "DUMMY_MASK": [], "T5Tokenizer": None,
    "find_pruneable_heads_and_indices": None, "prune_linear_layer": None, "assert_device_map": None,
    "get_device_map": None, "is_torch_fx_proxy": lambda value: False, "add_start_docstrings": _unchanged,
    "add_start_docstrings_to_model_forward": _unchanged, "replace_return_docstrings": _unchanged,
}
_REPLACED: dict[str, Any] = {"PreTrainedModel": _Base}


@contextlib.contextmanager
def _as_it_was(folder: Path) -> Iterator[None]:
    """With the names in transformers that its files import; as before afterwards."""
    with contextlib.ExitStack() as stack:
        for file in FILES:
            for node in ast.walk(ast.parse((folder / file).read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("transformers"):
                    for alias in node.names:
                        stack.enter_context(_name(str(node.module), alias.name))
        yield


@contextlib.contextmanager
def _name(module_name: str, name: str) -> Iterator[None]:
    """A name that can be imported from a module of transformers."""
    try:
        module, made = importlib.import_module(module_name), False
    except ImportError:
        module, made = ModuleType(module_name), True
        sys.modules[module_name] = module
    before = getattr(module, name, None)
    there = before is not None
    try:
        if name in _REPLACED:
            setattr(module, name, _REPLACED[name])
        elif not there:
            if name not in _ABSENT:
                raise ImportError(f"it needs {name} of {module_name}, which is no longer there")
            setattr(module, name, _ABSENT[name])
        yield
    finally:
        if there:
            setattr(module, name, before)
        elif hasattr(module, name):
            delattr(module, name)
        if made:
            sys.modules.pop(module_name, None)
