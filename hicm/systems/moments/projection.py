"""What brings frame features and word vectors to the width of the network."""

from torch import nn

from hicm.nn.projection import ProjectionLayer


def make_projection(width: int, out: int, dropout: float) -> nn.Sequential:
    """Two layers, [..., width] -> [..., out]."""
    return nn.Sequential(ProjectionLayer(width, out, dropout), nn.ReLU(), ProjectionLayer(out, out, dropout))
