"""From the predictions for all windows to the moments of each query."""

import numpy as np
import torch
from torch import Tensor

from hicm.moments.postprocess import post_process
from hicm.moments.records import Found
from hicm.systems.moments.batch import Batch
from hicm.systems.moments.model import Layer, Output
from hicm.systems.moments.settings import DecodeSettings
from hicm.systems.moments.targets import clip_scores


def ranked_windows(layer: Layer, durations: Tensor) -> Tensor:
    """The windows of B queries, the likeliest first: float64 [B, Q, 3] of start and end in seconds, and score.

    ``durations`` float64 [B].  They may begin before the video and end after it.
    """
    scores = layer.labels.float().softmax(2)[..., 0].cpu().double()
    centre, length = layer.boxes.float().cpu().double().unbind(2)
    seconds = torch.stack([centre - length / 2, centre + length / 2], 2) * durations[:, None, None]
    order = scores.argsort(stable=True, dim=1, descending=True)
    return torch.cat([seconds, scores[..., None]], 2).gather(1, order[..., None].expand(-1, -1, 3))


def fitted(windows: np.ndarray, duration: float, settings: DecodeSettings) -> np.ndarray:
    """Windows float64 [N, 3] of a video of ``duration`` seconds, as ``settings`` fit them.

    With fit=grid all numbers are rounded to four decimals first, as in a submission.
    """
    if settings.fit == "grid":
        return post_process(windows.round(4), settings.clamp, settings.grid)
    return np.concatenate([windows[:, :2].clip(0.0, duration), windows[:, 2:]], 1)


def moments(output: Output, batch: Batch, settings: DecodeSettings, saliency: bool) -> list[list[Found]]:
    """What was found for every query, by video: V lists; queries in their order.

    The likeliest windows, as many as ``settings`` say, and with ``saliency`` the score of each clip.
    """
    durations = torch.tensor(batch.durations, dtype=torch.float64)[batch.video.cpu()]
    windows = ranked_windows(output.layers[-1], durations)[:, :settings.moments].numpy()
    scores = output.encoded.saliency.float().cpu().numpy()
    found: list[list[Found]] = [[] for _ in batch.ids]
    for row, (video, query, text) in enumerate(zip(batch.video.tolist(), batch.queries, batch.texts, strict=True)):
        rows = scores[row, :int(batch.lengths[video])]
        duration, seconds = batch.durations[video], batch.seconds[video]
        found[video].append(Found(query, text, fitted(windows[row], duration, settings),
                                  clip_scores(rows, seconds, duration) if saliency else None))
    return found
