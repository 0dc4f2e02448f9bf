"""The public code of CM2 on the CPU, imported from a folder, for bench_parallel.py.

It works with one video at a time.  On the CPU it uses its own plain-torch form of deformable attention, so that nothing
is compiled.  Modules that it imports and does not need here are replaced by empty ones, CLIP by an encoder that returns
zeros: its output is not used.
"""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

# of its train_yc2.sh
FLAGS = ["--text_crossAttn", "--text_crossAttn_loc=after", "--ret_encoder=avg", "--sim_attention=cls_token",
         "--target_domain=yc2", "--bank_type", "yc2", "--soft_k=80", "--window_size=50", "--device=cpu"]
VOCABULARY = "data/yc2/vocabulary_youcook2.json"


class Reference:
    """Model, losses and post-processing, with the settings of its script for YouCook2."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        with _stand_ins():
            options, code, data = (importlib.import_module(name) for name in
                                   ("opts", "cm2.cm2_ret_encdec_clip", "data.video_dataset"))
        flags = ["", *FLAGS, f"--cfg_path={folder}/cfgs/yc2_clip_cm2.yml"]
        with _elsewhere(), mock.patch.object(sys, "argv", flags):
            self.options = options.parse_opts()
        self.options.cap_num_feature_levels = 4
        with _on_cpu():
            self.model, self.criterion, self.contrastive, post = code.build(self.options)
        self.post, self.collate = post["bbox"], data.collate_fn
        translator = data.Translator(str(folder / VOCABULARY), self.options.vocab_size)
        self.loader = SimpleNamespace(dataset=SimpleNamespace(translator=translator))
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=self.options.lr,
                                          weight_decay=self.options.weight_decay)
        self._search = self.model.softattention_select
        self.bank: dict[str, Tensor] = {}

    def give(self, vectors: Tensor | None) -> None:
        """What the next video recalls, [W, D]; None: it searches ``bank`` itself."""
        given = None if vectors is None else (None, vectors[None], "")
        self.model.softattention_select = self._search if given is None else lambda *_, **__: given

    def predict(self, batch: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Output of the model and events of one video, without the losses that its evaluation computes beside."""
        with torch.no_grad():
            output, _ = self.model(batch, lambda *_: ({}, None, None), self.contrastive, "queries", self.bank,
                                   eval_mode=True)
            return output, self.post(output, batch["video_length"][:, 1], self.loader)[0]

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The losses of one video."""
        _, losses = self.model(batch, self.criterion, self.contrastive, "queries", self.bank)
        return losses

    def step(self, batch: dict[str, Any]) -> float:
        """One training step as in its train.py; the loss."""
        self.optimiser.zero_grad()
        losses, weights = self.losses(batch), self.criterion.weight_dict
        total = sum(losses[name] * weights[name] for name in losses if name in weights)
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.options.grad_clip)
        self.optimiser.step()
        return float(total)


class _Text(nn.Module):
    def encode_text(self, tokens: Any) -> Tensor:
        return torch.zeros(len(tokens), 768)


class _Tokens(list):
    def to(self, device: str) -> "_Tokens":
        return self


def _clip() -> ModuleType:
    module: Any = ModuleType("clip")
    module.load = lambda name, device: (_Text(), None)
    module.tokenize = lambda texts, truncate: _Tokens(texts)
    return module


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """In place of modules that are imported for nothing."""
    importlib.import_module("torchvision.ops")  # it looks for pandas, too
    found: dict[str, Any] = {name: mock.MagicMock(name=name) for name in ("colorlog", "six", "six.moves", "pandas")}
    found = {name: module for name, module in {**found, "clip": _clip()}.items() if name not in sys.modules}
    sys.modules.update(found)
    try:
        yield
    finally:
        for name in found:
            del sys.modules[name]


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """In an empty folder, as options are written to the current one."""
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


@contextlib.contextmanager
def _on_cpu() -> Iterator[None]:
    """The code asks for CUDA by name."""
    move = Tensor.to

    def to(self: Tensor, *where: Any, **more: Any) -> Tensor:
        return move(self, *("cpu" if place == "cuda" else place for place in where), **more)

    with mock.patch.object(Tensor, "to", to):
        yield
