"""A sentence encoder in the manner of sentence-transformers, through transformers."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.encoders.model_files import identify
from hicm.loading import loading

FORM = "hf:<name or folder>"
BATCH = 128  # texts per forward pass


def text_encoder(rest: str, offline: bool) -> "HuggingFaceEncoder":
    """The sentence encoder in the folder or hub repository ``rest``."""
    return HuggingFaceEncoder(rest, offline)


class HuggingFaceEncoder:
    """Mean of the last hidden states over real tokens, L2-normalised, float32 (all-MiniLM-L6-v2 and the like).

    Texts are cut to the model's maximum length.  ``rest`` is a hub name or a folder with model and tokenizer.
    """

    def __init__(self, rest: str, offline: bool) -> None:
        self.source, self.offline = rest, offline
        self.name = f"hf:{identify(rest)}"

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModel, AutoTokenizer

        with loading(f"memory.encoder: {self.name}", self.source, self.offline,
                     "give a folder with the model and its tokenizer", "sentence encoder"):
            tokenizer = AutoTokenizer.from_pretrained(self.source)
            model = AutoModel.from_pretrained(self.source)
        return model.eval().float().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer

    @cached_property
    def width(self) -> int:
        return self._loaded[0].config.hidden_size

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), D], every row of norm 1."""
        import torch

        model, tokenizer = self._loaded
        longest = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512))
        out = np.empty((len(texts), self.width), np.float32)
        order = np.argsort([len(text) for text in texts], kind="stable")  # similar lengths need little padding
        batches = range(0, len(order), BATCH)
        with torch.inference_mode():
            for start in tqdm(batches, "embed", unit="batch", disable=len(batches) < 2):
                rows = order[start:start + BATCH]
                tokens = tokenizer([texts[row] for row in rows], padding=True, truncation=True, max_length=longest,
                                   return_tensors="pt").to(model.device)
                hidden = model(**tokens).last_hidden_state
                real = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
                pooled = (hidden * real).sum(1) / real.sum(1).clamp(min=1)
                out[rows] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return out
