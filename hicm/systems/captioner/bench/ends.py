"""Where generated sequences end, the same for all who generate: made-up weights hardly ever end one."""

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessorList

from hicm.systems.captioner.vocabulary import EOS

# Counted: percentiles of the tokens of YouCook2's validation captions, all of a video as one sequence with times and
# end, by T5's tokenizer.  A trained model decides by itself.
PERCENTILES, CAPTIONS = (0, 5, 25, 50, 75, 95, 100), (27, 52, 72, 94, 124, 194, 357)
LIMIT = 256  # tokens at most, at which these lengths are as counted; at lower limits they shrink in proportion


class Ends:
    """Ends each video after its number of tokens, and not before; a rule of `hicm.systems.captioner.search`."""

    def __init__(self, videos: int, most: int, device: str) -> None:
        places = (np.random.default_rng(2).permutation(videos) + 0.5) * 100 / videos
        lengths = torch.from_numpy(np.interp(places, PERCENTILES, CAPTIONS)) * most / LIMIT
        self.tokens: Tensor = lengths.long().clamp(1, most).to(device)  # [B], without the decoder start token

    def __call__(self, ids: Tensor, scores: Tensor, videos: Tensor) -> Tensor:
        """``scores`` [N, C], changed in place, for ids [N, t] of videos [N]."""
        over = self.tokens[videos] <= ids.shape[1]
        scores[:, EOS] = -torch.inf
        scores[over] = -torch.inf
        scores[over, EOS] = 0.0
        return scores

    def processors(self, beams: int) -> LogitsProcessorList:
        """The same for `generate` of transformers."""
        return LogitsProcessorList([lambda ids, scores: self(
            ids, scores, torch.arange(len(ids), device=ids.device) // beams)])
