"""A sentence encoder in the manner of sentence-transformers, through transformers."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.encoders.model_files import identify
from hicm.errors import UserError
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
    def _model(self) -> Any:
        import torch
        from transformers import AutoModel

        with self._loading():
            model = AutoModel.from_pretrained(self.source)
        return model.eval().float().to("cuda" if torch.cuda.is_available() else "cpu")

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        with self._loading():
            return AutoTokenizer.from_pretrained(self.source)

    def _loading(self) -> AbstractContextManager[str]:
        return loading(f"memory.encoder: {self.name}", self.source, self.offline,
                       "give a folder with the model and its tokenizer", "sentence encoder")

    @cached_property
    def width(self) -> int:
        width: int = self._model.config.hidden_size
        return width

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), D], every row of norm 1."""
        import torch

        out = np.empty((len(texts), self.width), np.float32)
        for rows, hidden, mask in self._states(texts, self._longest):
            real = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * real).sum(1) / real.sum(1).clamp(min=1)
            out[rows] = torch.nn.functional.normalize(pooled, dim=-1).cpu().numpy()
        return out

    def token_states(self, texts: Sequence[str], most: int) -> list[np.ndarray]:
        """The last hidden states of the pieces of a text and of the marks at both ends: float32 [L, D] each.

        Of more than ``most`` the last pieces are cut, not the end mark.  Raises UserError when the model's tokenizer
        does not put one mark before and one after a text.
        """
        self._refuse_without_marks()
        found: list[np.ndarray] = [np.zeros((0, 0), np.float32)] * len(texts)
        for rows, hidden, mask in self._states(texts, min(most, self._longest)):
            for row, states, real in zip(rows, hidden.cpu().numpy(), mask.cpu().numpy() > 0, strict=True):
                found[row] = states[real]
        return found

    def pieces(self, text: str) -> list[str]:
        """The tokens of a text, without marks."""
        tokens: list[str] = self._tokenizer.tokenize(text)
        return tokens

    @property
    def _longest(self) -> int:
        """Most tokens, marks included."""
        return min(self._tokenizer.model_max_length, getattr(self._model.config, "max_position_embeddings", 512))

    def _refuse_without_marks(self) -> None:
        tokenizer = self._tokenizer
        mask = tokenizer("a", return_special_tokens_mask=True)["special_tokens_mask"]
        if mask != [1, *[0] * len(tokenizer.tokenize("a")), 1]:
            raise UserError(f"{self.name}: its tokenizer does not put one mark before and one after a text, as "
                            "those of BERT and RoBERTa do; use such a model")

    def _states(self, texts: Sequence[str], most: int) -> Iterator[tuple[np.ndarray, Any, Any]]:
        """Batches: which texts, their hidden states [B, L, D] and which of these are real [B, L]."""
        import torch

        order = np.argsort([len(text) for text in texts], kind="stable")  # similar lengths need little padding
        batches = range(0, len(order), BATCH)
        for start in tqdm(batches, "embed", unit="batch", disable=len(batches) < 2):
            rows = order[start:start + BATCH]
            tokens = self._tokenizer([texts[row] for row in rows], padding=True, truncation=True, max_length=most,
                                     return_tensors="pt").to(self._model.device)
            with torch.inference_mode():
                hidden = self._model(**tokens).last_hidden_state
            yield rows, hidden, tokens["attention_mask"]
