"""A chat model on this machine, through transformers and its own chat template."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.config import SummaryConfig, digest
from hicm.encoders.model_files import WEIGHTS, identify
from hicm.errors import UserError, reason
from hicm.loading import loading
from hicm.memory.summarisers.answers import CUT, Answer
from hicm.memory.summarisers.language import LanguageModel, open_language_model
from hicm.memory.summarisers.prompt import Messages

FORM = "transformers:<hub name or folder>"


def summariser(rest: str, settings: SummaryConfig, folder: Path, offline: bool) -> LanguageModel:
    """The chat model in the folder or hub repository ``rest``."""
    return open_language_model(TransformersChat(rest, settings, offline), settings, folder)


class TransformersChat:
    """Hub name, ``name@revision`` or folder of an instruct model.  Greedy, or sampled with one seed per batch.

    Weights are loaded at the first question, in bfloat16 on a GPU, spread over devices as ``summary.device_map`` says.
    """

    workers = 1

    def __init__(self, rest: str, settings: SummaryConfig, offline: bool) -> None:
        self.settings, self.offline, self.batch = settings, offline, settings.batch
        self.source, self.revision = rest, None
        if "@" in rest and not Path(rest).is_dir():
            self.source, _, self.revision = rest.rpartition("@")
        decoding = [settings.max_tokens, settings.precision, settings.seed,
                    [settings.temperature, settings.top_p] if settings.sample else "greedy"]
        self.name = f"transformers:{identify(rest, WEIGHTS)} (decoding {digest(decoding)})"

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        options = {"revision": self.revision} if self.revision else {}
        half = self.settings.precision == "bf16" or (self.settings.precision == "auto" and torch.cuda.is_available())
        with loading(f"memory.summariser: {self.name}", self.source, self.offline, "give a folder with an "
                     "instruct model and its tokenizer", "chat model"):
            tokenizer = AutoTokenizer.from_pretrained(self.source, padding_side="left", **options)
            model = AutoModelForCausalLM.from_pretrained(
                self.source, dtype=torch.bfloat16 if half else torch.float32, device_map=self.settings.device_map,
                **options)
        if not tokenizer.chat_template:
            raise UserError(f"memory.summariser: {self.name}: its tokenizer has no chat template; choose an instruct "
                            "model")
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        return model.eval(), tokenizer

    def answer(self, chats: Sequence[Messages], seed: int) -> list[Answer]:
        """One answer per conversation, until the end of turn; cut off at ``summary.max_tokens`` new tokens."""
        import torch

        model, tokenizer = self._loaded
        tokens = self._encode(chats).to(model.device)
        start = tokens["input_ids"].shape[1]
        room = getattr(model.config, "max_position_embeddings", None)
        if room and start + self.settings.max_tokens > room:
            raise UserError(f"memory.summariser: {self.name}: a question of {start} tokens and an answer of "
                            f"{self.settings.max_tokens} do not fit the model's {room}; lower summary.members")
        decoding: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if self.settings.sample:
            decoding = {"do_sample": True, "temperature": self.settings.temperature, "top_p": self.settings.top_p,
                        "top_k": 0}
        ends = _ends(model.generation_config.eos_token_id, tokenizer.eos_token_id)
        try:
            with torch.inference_mode(), torch.random.fork_rng():
                torch.manual_seed(seed)
                out = model.generate(**tokens, max_new_tokens=self.settings.max_tokens,
                                     pad_token_id=tokenizer.pad_token_id, eos_token_id=ends or None, **decoding)
        except torch.OutOfMemoryError as error:
            raise UserError(f"memory.summariser: {self.name}: the GPU's memory is full; lower summary.batch (now "
                            f"{self.batch}) or summary.members, and run the same command again") from error
        new = out[:, start:]
        finished = torch.isin(new, torch.tensor(ends, dtype=torch.long, device=new.device)).any(dim=1).tolist()
        return [Answer(text, "" if end else CUT)
                for text, end in zip(tokenizer.batch_decode(new, skip_special_tokens=True), finished, strict=True)]

    def _encode(self, chats: Sequence[Messages]) -> Any:
        """Token ids and mask, padded on the left.

        For templates without system messages, the system message is put at the start of the user's.
        """
        options = {"add_generation_prompt": True, "padding": True, "return_tensors": "pt", "return_dict": True}
        tokenizer = self._loaded[1]
        try:
            return tokenizer.apply_chat_template(list(chats), **options)
        except Exception as error:  # raised by the template itself
            try:
                return tokenizer.apply_chat_template([_without_system(messages) for messages in chats], **options)
            except Exception:
                raise UserError(f"memory.summariser: {self.name}: its chat template fails ({reason(error)}); choose an "
                                "instruct model") from error


def _ends(*ids: int | list[int] | None) -> list[int]:
    """Token ids that end a turn: models name the end of a text, their tokenizers often that of a turn."""
    return sorted({end for one in ids if one is not None for end in ([one] if isinstance(one, int) else one)})


def _without_system(messages: Messages) -> Messages:
    if messages[0]["role"] != "system":
        return messages
    system, user, *rest = messages
    return [{"role": "user", "content": f"{system['content']}\n\n{user['content']}"}, *rest]
