"""Encoders of texts and images, each in a module of its own that is found by its name (`hicm.plugins`).

``memory.encoder`` chooses one as ``kind:rest``; the kind is the module's name:

    openclip:<model>/<pretrained>   text tower of a CLIP model, projected, not normalised (HiCM2: ViT-L-14/openai)
    openclip:local-dir:<folder>     the same from a folder saved by open_clip; openclip:hf-hub:<name> from the hub
    hf:<hub name or folder>         sentence encoder: mean over tokens, L2-normalised (all-MiniLM and the like)
    array:<npz>                     embeddings computed elsewhere: sentences str [N], embeddings float [N, D]
    hashing:<width>                 words and word pairs hashed to random directions, L2-normalised; no model

A new encoder is a new module here, or a module of another package under the entry-point group ``hicm.encoders``, with
``FORM`` (how it is written) and ``text_encoder(rest, offline) -> Encoder``, ``image_encoder(rest, offline) ->
ImageEncoder``, or both (openclip, hashing).

Queries are means of frame features, so the encoder must share its space with them: CLIP text for CLIP frames.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hicm.plugins import find_written

GROUP = "hicm.encoders"
FUNCTION, IMAGE_FUNCTION = "text_encoder", "image_encoder"


class Encoder(Protocol):
    """Texts in, embeddings out.  Models are loaded at first use, not at construction."""

    @property
    def name(self) -> str:
        """The specification, with a hash of what is read from disk: equal names, equal embeddings."""

    @property
    def width(self) -> int:
        """D."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), D].  Raises UserError when a text cannot be embedded."""


class ImageEncoder(Protocol):
    """Pictures in, embeddings out.  Models are loaded at first use, not at construction.

    It may have ``weights_sha256``, which is written beside features: a name on the hub does not say which weights.
    """

    @property
    def name(self) -> str:
        """The specification, with a hash of what is read from disk: equal names, equal embeddings."""

    def encode_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [len(images), D] of pictures uint8 [height, width, 3] (RGB), of any size."""


def make_encoder(spec: str, offline: bool = False) -> Encoder:
    """The encoder of a specification ``kind:rest`` (see above).  ``offline``: never contact the hub.

    Raises UserError when the kind is unknown, or when what it names is missing or unreadable.
    """
    module, rest = find_written(spec, __name__, GROUP, FUNCTION, f"memory.encoder: {spec!r} is not an encoder")
    return module.text_encoder(rest, offline)


def make_image_encoder(spec: str, offline: bool = False) -> ImageEncoder:
    """The image encoder of a specification ``kind:rest``.  ``offline``: never contact the hub.

    Raises UserError when the kind is unknown or has no image encoder, or when what it names is missing or unreadable.
    """
    module, rest = find_written(spec, __name__, GROUP, IMAGE_FUNCTION, f"encoder: {spec!r} embeds no images")
    return module.image_encoder(rest, offline)
