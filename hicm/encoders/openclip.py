"""The towers of a CLIP model, through open_clip."""

import difflib
import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from hicm.encoders.model_files import identify
from hicm.errors import UserError
from hicm.loading import NoModel, loading

FORM = "openclip:<model>/<pretrained>"
WEIGHTS = (".safetensors", ".bin", ".pth")  # what open_clip takes from a folder
BATCH = 128  # texts per forward pass


def text_encoder(rest: str, offline: bool) -> "OpenClipEncoder":
    """The text tower of the model ``rest``."""
    return OpenClipEncoder(rest, offline)


def image_encoder(rest: str, offline: bool) -> "OpenClipEncoder":
    """The image tower of the model ``rest``.  Raises NoModel, before a video is read, when there is none."""
    found = OpenClipEncoder(rest, offline)
    if importlib.util.find_spec("open_clip"):  # otherwise missed when it is used: cached features need none
        found.check()
    return found


class OpenClipEncoder:
    """Projected embeddings, not normalised, float32; texts are cut to the tower's context (CLIP: 77 tokens).

    Pictures are prepared as the model's own configuration says: short side to its size, bicubic, centre crop (CLIP).

    ``rest`` is ``<model>/<pretrained tag or file>``, ``local-dir:<folder>`` or ``hf-hub:<name>``.  A file of OpenAI's
    weights needs the model's ``-quickgelu`` variant; with a tag the right activation is chosen here.
    """

    def __init__(self, rest: str, offline: bool) -> None:
        self.offline = offline
        schema, separator, place = rest.partition(":")
        if separator and schema in ("local-dir", "hf-hub"):
            self._model, self._pretrained = rest, None
            self.name = f"openclip:{schema}:{identify(place)}"
            return
        self._model, _, self._pretrained = rest.partition("/")
        if not self._pretrained:
            raise UserError(f"memory.encoder: openclip:{rest}: expected openclip:<model>/<pretrained>, e.g. "
                            "openclip:ViT-L-14/openai")
        self.name = f"openclip:{self._model}/{identify(self._pretrained)}"

    def check(self) -> None:
        """NoModel unless open_clip knows the model and its weights, or the folder holds some; none are loaded."""
        if self._pretrained:
            _refuse_unknown(self.name, self._model, self._pretrained)
        elif self._model.startswith("local-dir:"):
            _refuse_empty(self.name, Path(self._model.removeprefix("local-dir:")))

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import open_clip

        self.check()
        # OpenAI's and some other weights were trained with another activation than the configuration of the same
        # name states; open_clip only warns about it, and the embeddings would be wrong.
        tag = open_clip.get_pretrained_cfg(self._model, self._pretrained) if self._pretrained else {}
        source = tag.get("file") or tag.get("hf_hub", "").strip("/") or self._pretrained \
            or self._model.partition(":")[2]
        remedy = "give a file or folder (openclip:<model>/<file>, openclip:local-dir:<folder>)"
        with loading(f"memory.encoder: {self.name}", source, self.offline, remedy, "CLIP model"):
            model = open_clip.create_model(self._model, self._pretrained, require_pretrained=True,
                                           force_quick_gelu=bool(tag.get("quick_gelu")))
            return model.eval().to(_device()), open_clip.get_tokenizer(self._model)

    @cached_property
    def weights_sha256(self) -> str:
        """Of all parameters and buffers, in order of their names: a name on the hub does not say which they are."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._loaded[0].state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @cached_property
    def width(self) -> int:
        return self.encode([""]).shape[1]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), D]."""
        import torch

        model, tokenizer = self._loaded
        device, parts = next(model.parameters()).device, []
        batches = range(0, len(texts), BATCH)
        with torch.inference_mode():
            for start in tqdm(batches, "embed", unit="batch", disable=len(batches) < 2):
                ids = tokenizer(list(texts[start:start + BATCH])).to(device)
                parts.append(model.encode_text(ids).float().cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, self.width), np.float32)

    def token_states(self, texts: Sequence[str], most: int) -> list[np.ndarray]:
        """The text tower's states after its last norm, before the projection: float32 [L, width of the tower] each.

        L counts the pieces of a text and the marks at both ends; what is beyond ``most`` of them is cut, and an end
        mark put there.  Raises UserError when the model reads text in another way.
        """
        import torch
        from open_clip.tokenizer import SimpleTokenizer

        model, tokenizer = self._loaded
        tower = getattr(model, "text", model)
        if not hasattr(tower, "token_embedding") or not isinstance(tokenizer, SimpleTokenizer):
            raise UserError(f"{self.name}: its text tower or tokenizer is not CLIP's own, and gives no states of "
                            "words; use another model")
        device, found = tower.positional_embedding.device, list[np.ndarray]()
        longest = len(tower.positional_embedding)
        with torch.inference_mode():
            for start in range(0, len(texts), BATCH):
                ids = tokenizer(list(texts[start:start + BATCH]), context_length=most)
                lengths = ids.argmax(1) + 1  # the end mark has the highest number
                ids = torch.nn.functional.pad(ids, (0, longest - most)).to(device)
                x = tower.token_embedding(ids) + tower.positional_embedding
                states = tower.ln_final(tower.transformer(x, attn_mask=tower.attn_mask)).float().cpu().numpy()
                found += [rows[:length] for rows, length in zip(states, lengths.tolist(), strict=True)]
        return found

    def encode_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [len(images), D]; computed in bfloat16 on a GPU."""
        import torch
        from PIL import Image

        model, _ = self._loaded
        device = next(model.parameters()).device
        prepared = torch.stack([self._prepare(Image.fromarray(image)) for image in images]).to(device)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            return model.encode_image(prepared).float().cpu().numpy()

    @cached_property
    def _prepare(self) -> Any:
        import open_clip

        settings = open_clip.transform.PreprocessCfg(**self._loaded[0].visual.preprocess_cfg)
        return open_clip.transform.image_transform_v2(settings, is_train=False)


def _refuse_unknown(name: str, model: str, pretrained: str) -> None:
    """NoModel, with the nearest that there is, unless open_clip knows the model and its weights are a tag or a file."""
    import open_clip

    known = open_clip.get_model_config(model) is not None
    if known and (open_clip.get_pretrained_cfg(model, pretrained) or Path(pretrained).is_file()):
        return
    tags = [f"{one}/{tag}" for one, tag in open_clip.list_pretrained() if one == model or not known]
    nearest = difflib.get_close_matches(f"{model}/{pretrained}", tags or open_clip.list_models(), n=1, cutoff=0)[0]
    what = f"{pretrained} is no file and no weights of {model}" if known else f"open_clip knows no model {model}"
    raise NoModel(f"memory.encoder: {name}: {what}; the nearest is {nearest}")


def _refuse_empty(name: str, folder: Path) -> None:
    """NoModel unless the folder holds weights of a form that open_clip looks for in a folder."""
    if not folder.is_dir():
        raise NoModel(f"memory.encoder: {name}: cannot be loaded: there is no such folder; correct the path")
    if not any(file.suffix in WEIGHTS for file in folder.iterdir()):
        raise NoModel(f"memory.encoder: {name}: cannot be loaded: no weights in {folder}, expected a file ending in "
                      f"{', '.join(WEIGHTS)}; a .pt file is given as openclip:<model>/<file>")


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
