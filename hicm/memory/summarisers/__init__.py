"""Summarisers write a node's text; each stands in a module of its own that is found by its name (`hicm.plugins`).

``memory.summariser`` chooses one; what stands before the colon is the module's name:

    medoid                                the most central member, word for word; no model
    centroid                              the mean embedding of the node's captions, with the medoid's text
    transformers:<hub name or folder>     a chat model on this machine
    openai:<model>                        a chat model behind an OpenAI-compatible endpoint (summary.endpoint)

A new summariser is a new module here, or a module of another package under the entry-point group
``hicm.summarisers``, with ``FORM`` (how it is written) and ``summariser(rest, settings, folder, offline)
-> Summariser``.
"""

from pathlib import Path

from hicm.config import SummaryConfig
from hicm.errors import UserError
from hicm.memory.summarisers.node import Summariser
from hicm.plugins import find_part, known_forms

GROUP = "hicm.summarisers"
FUNCTION = "summariser"


def make_summariser(spec: str, settings: SummaryConfig, folder: Path, offline: bool = False) -> Summariser:
    """The summariser of a specification ``kind`` or ``kind:rest`` (see above).

    A language model continues the journal in ``folder``, the bank's.  ``offline``: never contact the hub.  Raises
    UserError when the kind is unknown, or when the prompt or the journal cannot be read.
    """
    kind, colon, rest = spec.partition(":")
    module = find_part(kind, __name__, GROUP, FUNCTION)
    if module is None or (colon if ":" not in module.FORM else not rest):
        raise UserError(f"memory.summariser: {spec!r} is not a summariser; expected one of "
                        f"{known_forms(__name__, GROUP, FUNCTION)}")
    return module.summariser(rest, settings, folder, offline)
