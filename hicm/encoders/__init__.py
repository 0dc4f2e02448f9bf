"""Text encoders that embed captions and summaries, chosen by ``memory.encoder``.

    openclip:<model>/<pretrained>   text tower of a CLIP model, projected, not normalised (HiCM2: ViT-L-14/openai)
    openclip:local-dir:<folder>     the same from a folder saved by open_clip; openclip:hf-hub:<name> from the hub
    hf:<hub name or folder>         sentence encoder: mean over tokens, L2-normalised (all-MiniLM and its like)
    array:<npz>                     embeddings computed elsewhere: sentences str [N], embeddings float [N, D]
    hashing:<width>                 words and word pairs hashed to random directions, L2-normalised; no model

Queries are means of frame features, so the encoder must share its space with them: CLIP text for CLIP frames.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hicm.errors import UserError
from hicm.memory.encoders.array import ArrayEncoder
from hicm.memory.encoders.hashing import HashingEncoder
from hicm.memory.encoders.huggingface import HuggingFaceEncoder
from hicm.memory.encoders.openclip import OpenClipEncoder


class Encoder(Protocol):
    """Texts in, embeddings out.  Models are loaded at the first use, not at construction."""

    name: str  # specification, and the hash of what it reads from disk: equal names, equal embeddings

    @property
    def width(self) -> int:
        """D."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), D].  Raises UserError when a text cannot be embedded."""


def make_encoder(spec: str, offline: bool = False) -> Encoder:
    """The encoder of a specification ``kind:rest`` (see above).  ``offline``: never ask the hub.

    Raises UserError when the kind is unknown or what it names is missing or unreadable.
    """
    kind, _, rest = spec.partition(":")
    if not rest:
        kind = ""
    match kind:
        case "openclip":
            return OpenClipEncoder(rest, offline)
        case "hf":
            return HuggingFaceEncoder(rest, offline)
        case "array":
            return ArrayEncoder(rest)
        case "hashing":
            return HashingEncoder(rest)
    raise UserError(f"memory.encoder: {spec!r} is no encoder; expected openclip:<model>/<pretrained>, hf:<name or "
                    "folder>, array:<npz> or hashing:<width>")
