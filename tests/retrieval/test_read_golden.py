"""The reference's reads (hicm2.md 6.3), made by the released code on synthetic features and a synthetic bank."""

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest

from hicm.config import RetrievalConfig
from hicm.data.features import sample
from hicm.memory.bank import Bank, Level
from hicm.retrieval.reader import Reader

TOLERANCE = 1e-6  # hicm2.md 6.3
MODES = {"retrieved_released": {"search": "top_only"}, "retrieved_top_down": {"search": "descend"},
         "retrieved_top_down_max": {"search": "descend", "select": "max"}}


@pytest.fixture(scope="module")
def parity(golden: Path) -> tuple[dict, dict]:
    """HICM_PARITY names another file pair of the same form (path without ending)."""
    stem = os.environ.get("HICM_PARITY") or str(golden / "hicm2_parity")
    with np.load(f"{stem}.npz", allow_pickle=False) as arrays:
        return json.loads(Path(f"{stem}.json").read_text()), dict(arrays)


def frames(facts: dict) -> tuple[np.ndarray, np.ndarray]:
    """hicm2.md 6.2, then the 100-row rule of 1.3."""
    sampled = []
    for row, video in enumerate(facts["video_ids"]):
        rows = [int(facts["annotations"][video]["duration"]), 63, 100, 251][row % 4]
        seed = zlib.crc32((facts["salt"] + "feat" + video).encode())
        sampled.append(sample(np.random.default_rng(seed).standard_normal((rows, 768)).astype(np.float32), 100))
    return np.stack([frames for frames, _ in sampled]), np.stack([mask for _, mask in sampled])


def bank(facts: dict, arrays: dict) -> Bank:
    levels = []
    for number in range(1, len(facts["levels"]) + 1):
        embeddings = arrays[f"bank_level_{number}"]
        parents = facts["parents"][f"level_{number}"]
        children = tuple(np.asarray(parents[f"cluster_{node}"] or [], np.int64) for node in range(len(embeddings)))
        texts = tuple(f"summary {number}.{node}" for node in range(len(embeddings)))
        levels.append(Level(texts, embeddings, children, np.full(len(embeddings), -1)))
    return Bank(tuple(levels)).validate()


@pytest.mark.parametrize("name", MODES)
@pytest.mark.filterwarnings("ignore:retrieval.search=top_only")
def test_reads_are_the_references(parity, name):
    facts, arrays = parity
    settings = RetrievalConfig(windows=facts["window_size"], top_k=facts["soft_k"], tail="drop", mask_padding=False,
                               precision="stored", **MODES[name])
    read = Reader(bank(facts, arrays), settings).read(*frames(facts))
    np.testing.assert_allclose(read.vectors, arrays[name], rtol=0, atol=TOLERANCE)
    assert read.mask.all()
    assert read.vectors.dtype == np.float32
