"""Made-up videos with queries, so small that the network runs in milliseconds."""

import numpy as np
import torch

from hicm.data.streams import normalise_rows, with_endpoints
from hicm.systems.moments.collate import Asked, Item
from hicm.systems.moments.model import Moments
from hicm.systems.moments.settings import Settings
from hicm.systems.moments.targets import relevant_rows, target_windows
from hicm.types import Span

WIDTH, WORD_WIDTH, CLASSES = 16, 12, 20
SMALL = Settings(width=32, hidden=32, heads=4, queries=5, dropout=0.0, input_dropout=0.0, word_layers=1,
                 sentence_layers=1, aligner_layers=1, encoder_layers=1)


def make_item(number: int, rows: int = 16, queries: int = 1, windows: int = 1, longest: int = 6) -> Item:
    """A video of ``rows`` seconds."""
    rng = np.random.default_rng([number, rows, queries])
    features = with_endpoints(normalise_rows(rng.standard_normal((rows, WIDTH)).astype(np.float32)))
    asked = []
    for query in range(queries):
        length = int(rng.integers(2, longest + 1))
        starts = rng.uniform(0, 0.7 * rows, windows)
        spans = [Span(start, start + rng.uniform(0.1, 0.3) * rows) for start in starts]
        relevant = relevant_rows(spans, 1.0, rows)
        words = rng.standard_normal((length, WORD_WIDTH)).astype(np.float32)
        asked.append(Asked(f"{number}/{query}", f"{number} {query}", words,
                           rng.integers(0, CLASSES, length), np.arange(length) == 1, np.ones(length, np.float32),
                           target_windows(spans, rows), relevant, relevant.astype(np.float32)))
    return Item(f"video {number}", float(rows), 1.0, features, tuple(asked))


def make_model(settings: Settings = SMALL, seed: int = 0) -> Moments:
    """With random weights everywhere, in evaluation mode."""
    torch.manual_seed(seed)
    model = Moments(settings, WIDTH + 2, WORD_WIDTH, CLASSES + 1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return model.eval()
