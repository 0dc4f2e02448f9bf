"""Encoders that do not fit are named before anything is embedded; embeddings that mean nothing are named too."""

import dataclasses

import numpy as np
import pytest

from hicm.config import DataConfig
from hicm.data.features import write_features
from hicm.errors import UserError
from hicm.memory.bank import TEXTS
from hicm.memory.encoding import check_encoder, encode_texts
from hicm.memory.plan import plan_memory
from hicm.stages.build_memory import build_memory
from tests.memory_data import write_config


class Encoder:
    """Ones, except for some texts; counts the texts it was given."""

    name, width = "made-up", 4

    def __init__(self, **rows):
        self.rows, self.count = rows, 0

    def encode(self, texts):
        self.count += len(texts)
        return np.stack([np.asarray(self.rows.get(text, np.ones(4)), np.float32) for text in texts])


@pytest.mark.parametrize(("row", "what"), [(np.zeros(4), "zero"), ([1, np.nan, 1, 1], "not finite"),
                                           ([1, 1, 1, -np.inf], "not finite")])
def test_embeddings_that_mean_nothing_are_named(row, what):
    with pytest.raises(UserError, match=f"made-up: the embedding of 'cut' is {what}; use another encoder or"):
        encode_texts(Encoder(cut=row), ["add", "cut", "cut"])
    with pytest.raises(UserError, match=rf"the embedding of 'cut' \(and those of 1 other texts\) is {what}"):
        encode_texts(Encoder(cut=row, fry=row), ["add", "cut", "fry"])


def test_an_encoder_that_returns_something_else():
    class Flat(Encoder):
        def encode(self, texts):
            return np.ones(4, np.float32)

    with pytest.raises(UserError, match=r"made-up: 2 texts gave an array of shape \[4\]; expected \[2, width\]"):
        encode_texts(Flat(), ["add", "cut"])


@pytest.mark.parametrize("act", [build_memory, plan_memory])
def test_an_encoder_of_another_width_than_the_features(tmp_path, act):
    features = write_features(tmp_path / "features.h5", {"video0": np.ones((3, 768), np.float32)})
    config = write_config(tmp_path, 6, summariser="medoid")
    wrong = dataclasses.replace(config, data=dataclasses.replace(config.data, features=str(features)))
    with pytest.raises(UserError, match=r"hashing:32 gives vectors 32 wide, the features in .*\.h5 are 768 wide; "
                                        r".* \(768 wide: openclip:ViT-L-14/openai\), or set data\.features= \(empty"):
        act(wrong)
    assert not config.bank.exists(), "nothing was embedded"
    for path in ("", str(tmp_path / "elsewhere.h5")):  # a bank needs no features
        act(dataclasses.replace(config, data=dataclasses.replace(config.data, features=path)))


def test_one_caption_is_embedded_first(tmp_path):
    encoder = Encoder(cut=np.zeros(4))
    with pytest.raises(UserError, match="'cut' is zero"):
        check_encoder(encoder, DataConfig(), "cut", summaries=False)
    assert encoder.count == 1


def test_a_table_of_embeddings_cannot_embed_what_a_model_will_write(tmp_path):
    config = write_config(tmp_path, 6)
    captions = sorted({text for line in (tmp_path / "train.json").read_text().splitlines() for text in line.split('"')})
    np.savez(tmp_path / "rows.npz", sentences=np.asarray(captions),
             embeddings=np.random.default_rng(0).standard_normal((len(captions), 8)))
    table = dataclasses.replace(config.memory, encoder=f"array:{tmp_path}/rows.npz")
    config = dataclasses.replace(config, memory=table)
    with pytest.raises(UserError, match=r"cannot embed the sentences that a language model will write .*medoid"):
        build_memory(config)
    build_memory(dataclasses.replace(config, memory=dataclasses.replace(table, summariser="medoid")))
    assert (config.bank / TEXTS).exists()
