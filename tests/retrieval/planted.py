"""Parts that another package offers: modules and entry points written into a folder on the path."""

from pathlib import Path

READ = '''
"""The best node of each window at the finest level: one token for one node."""

import numpy as np

from hicm.retrieval.records import Tokens


def read(queries, kept, settings):
    best = np.full((len(queries.queries), 1), -1, np.int32)
    vectors, level = np.zeros(queries.queries.shape, np.float32), -1
    if kept.to_read:
        level = min(kept.to_read)
        nodes = kept.to_read[level][:, :1]
        best[:, : nodes.shape[1]] = nodes
        vectors = queries.mean(level, best)
    leaves = queries.stand_ins(level, best) if level > 0 else np.full_like(best, -1)
    slots = np.empty((len(best), 1, 3), np.int32)
    slots[:, 0, 0] = np.tile(np.arange(queries.windows), queries.batch)
    slots[..., 1] = np.where(leaves >= 0, 0, level)
    slots[..., 2] = np.where(leaves >= 0, leaves, best)
    shape = queries.batch, queries.windows
    return Tokens(vectors.reshape(*shape, -1) if len(vectors) else np.zeros((*shape, vectors.shape[1]), np.float32),
                  (best >= 0).reshape(shape), slots.reshape(*shape, 3))
'''
SEARCH = '''
"""All nodes of the top, in list order."""

from hicm.retrieval.records import Kept
from hicm.retrieval.select import select


def search(queries, settings, levels):
    top = queries.tables.bank.depth
    candidates = queries.everything(top)
    nodes, scores = select(candidates, queries.scores(top), "top-k", candidates.shape[1], 0)
    return Kept({top: nodes}, {top: scores}, {top: nodes})
'''
SHAPE = '''
"""One window per frame; the last has the rest."""

import numpy as np


def windows(frames, counted, settings):
    return np.minimum(np.arange(len(frames)), settings.windows - 1) == np.arange(settings.windows)[:, None]
'''
BROKEN = "def read(queries, kept, settings):\n    from hicm.retrieval.reads import mean\n" \
         "    return mean.read(queries, kept, settings)._replace(vectors=queries.queries)\n"


def plant(folder: Path) -> Path:
    """Install the package ``foreign`` in ``folder``: search "whole-top", reads "best-node" and "broken", shape
    "first-frames".
    """
    package, info = folder / "foreign", folder / "foreign-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    for name, text in {"__init__": "", "best": READ, "top": SEARCH, "shape": SHAPE, "broken": BROKEN}.items():
        (package / f"{name}.py").write_text(text)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hicm.reads]\nbest-node = foreign.best\nbroken = foreign.broken\n"
                                           "[hicm.searches]\nwhole-top = foreign.top\n"
                                           "[hicm.window_shapes]\nfirst-frames = foreign.shape\n")
    return folder
