"""Texts to embeddings, each different text once, and whether an encoder can do what a build will ask of it."""

import contextlib
from collections.abc import Sequence

import numpy as np

from hicm.config import DataConfig
from hicm.data.joined import open_all
from hicm.encoders import Encoder
from hicm.errors import UserError

UNSEEN = "a sentence that no caption says"

# width of features -> the text encoder in their space, for the models that most features come from
_FITTING = {512: "ViT-B-32/openai or ViT-B-16/openai", 640: "RN50x4/openai", 768: "ViT-L-14/openai",
            1024: "ViT-H-14/laion2b_s32b_b79k or RN50/openai", 1152: "ViT-SO400M-14-SigLIP/webli",
            1280: "ViT-bigG-14/laion2b_s39b_b160k"}


def encode_texts(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    """Embeddings float32 [len(texts), D]; a text that occurs several times is encoded once.

    Raises UserError naming the first text whose embedding is zero or not finite.
    """
    different = list(dict.fromkeys(texts))
    rows = {text: row for row, text in enumerate(different)}
    embeddings = np.asarray(encoder.encode(different))
    if embeddings.ndim != 2 or len(embeddings) != len(different):
        raise UserError(f"memory.encoder: {encoder.name}: {len(different)} texts gave an array of shape "
                        f"{list(embeddings.shape)}; expected [{len(different)}, width]")
    _refuse(encoder, different, (~np.isfinite(embeddings)).any(axis=1), "not finite")
    _refuse(encoder, different, (embeddings == 0).all(axis=1), "zero")
    return embeddings[[rows[text] for text in texts]]


def check_encoder(encoder: Encoder, data: DataConfig, caption: str, summaries: bool, for_frames: bool = True) -> None:
    """Load the encoder and embed one caption, before all of them are.

    ``summaries``: new sentences will have to be embedded too; ``for_frames``: frames will search the bank.  Raises
    UserError when it cannot be loaded, when an embedding is zero or not finite, when it cannot embed new sentences, and
    when its width is not that of the features (compared where ``data.features`` can be read; a bank alone needs none).
    """
    width = encode_texts(encoder, [caption]).shape[1]
    if summaries:
        try:
            encode_texts(encoder, [UNSEEN])
        except UserError as error:
            raise UserError(f"memory.encoder: {encoder.name} cannot embed the sentences that a language model will "
                            f"write ({error}); use a model as encoder, or memory.summariser: medoid") from error
    expected = _width_of_features(data) if for_frames else None
    if expected not in (None, width):
        fitting = f" ({expected} wide: openclip:{_FITTING[expected]})" if expected in _FITTING else ""
        raise UserError(f"memory.encoder: {encoder.name} gives vectors {width} wide, the features in {data.features} "
                        f"are {expected} wide; use the text encoder of the model that made the features{fitting}, or "
                        "set data.features= (empty) for a bank that these features will not query")


def _width_of_features(data: DataConfig) -> int | None:
    if data.features:
        with contextlib.suppress(UserError):  # building a bank needs no features; data check reports what is wrong
            return open_all(data).width
    return None


def _refuse(encoder: Encoder, texts: Sequence[str], bad: np.ndarray, what: str) -> None:
    if bad.any():
        more = f" (and those of {bad.sum() - 1:,} other texts)" if bad.sum() > 1 else ""
        raise UserError(f"memory.encoder: {encoder.name}: the embedding of {texts[int(np.argmax(bad))]!r}{more} is "
                        f"{what}; use another encoder or correct the text")
