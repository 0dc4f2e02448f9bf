"""What a measured training step is made of."""

from collections.abc import Callable

from torch import Tensor, nn

Trained = tuple[nn.Module, Callable[[], Tensor], Callable[[], None]]  # a module, its loss, what follows a step
