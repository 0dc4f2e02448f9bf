"""Who writes a node's text, chosen by ``memory.summariser``.

    medoid                                the most central member, word for word; no model
    centroid                              the mean embedding of the node's captions; the medoid's text to read
    transformers:<hub name or folder>     a chat model on this machine
    openai:<model>                        a chat model behind an OpenAI-compatible endpoint (summary.endpoint)
"""

from pathlib import Path

from hicm.config import Config
from hicm.errors import UserError
from hicm.memory.summarisers.centroid import Centroid
from hicm.memory.summarisers.chat_openai import OpenAIChat
from hicm.memory.summarisers.chat_transformers import TransformersChat
from hicm.memory.summarisers.journal import Journal
from hicm.memory.summarisers.language import LanguageModel
from hicm.memory.summarisers.medoid import Medoid
from hicm.memory.summarisers.node import Summariser
from hicm.memory.summarisers.prompt import load_prompt

JOURNAL = "summaries.jsonl"  # in the bank's folder


def make_summariser(config: Config) -> Summariser:
    """The summariser of ``memory.summariser``; a language model continues the journal in the bank's folder.

    Raises UserError when the kind is unknown, or the prompt or the journal cannot be read.
    """
    spec, settings = config.memory.summariser, config.summary
    kind, _, rest = spec.partition(":")
    match kind:
        case "medoid" | "centroid" if kind == spec:
            return Medoid() if kind == "medoid" else Centroid()
        case "transformers":
            chat = TransformersChat(rest, settings, config.offline)
        case "openai":
            chat = OpenAIChat(rest, settings)
        case _:
            raise UserError(f"memory.summariser: {spec!r} is no summariser; expected medoid, centroid, "
                            "transformers:<hub name or folder> or openai:<model>")
    return LanguageModel(chat, load_prompt(settings.prompt), settings, Journal(Path(config.bank) / JOURNAL))
