"""Recognisers of speech, each in a module of its own that is found by its name (`hicm.plugins`).

``--speech`` chooses one as ``kind:rest``; the kind is the module's name:

    whisper:<size or folder>       Whisper through faster-whisper (CTranslate2), e.g. whisper:large-v2 (HiCM2's)
    transformers:<name or folder>  any speech recognition model of Transformers, e.g. transformers:openai/whisper-base

A new recogniser is a new module here, or a module of another package under the entry-point group ``hicm.recognisers``,
with ``FORM`` (how it is written) and ``recogniser(rest, offline) -> Recogniser``.
"""

from pathlib import Path
from typing import Any, Protocol

from hicm.errors import UserError
from hicm.plugins import find_part, known_forms

GROUP = "hicm.recognisers"
FUNCTION = "recogniser"
RATE = 16_000  # samples per second that recognisers take


class Recogniser(Protocol):
    """A video or sound file in, what is said out.  Models are loaded at first use, not at construction."""

    @property
    def name(self) -> str:
        """The specification, with a hash of what is read from disk: equal names, equal transcripts."""

    def transcribe(self, path: Path) -> list[dict[str, Any]]:
        """Segments in order: ``{"start", "end", "text", "words": [{"start", "end", "word"}]}``, in seconds.

        Empty where nothing is said.  Raises UserError when the model or the sound cannot be read.
        """


def make_recogniser(spec: str, offline: bool = False) -> Recogniser:
    """The recogniser of a specification ``kind:rest`` (see above).  ``offline``: never contact the hub.

    Raises UserError when the kind is unknown, or when what it needs is not installed.
    """
    kind, _, rest = spec.partition(":")
    module = find_part(kind, __name__, GROUP, FUNCTION) if rest else None
    if module is None:
        raise UserError(f"--speech: {spec!r} is no recogniser; expected one of "
                        f"{known_forms(__name__, GROUP, FUNCTION)}, a file or folder of transcripts, or none")
    return module.recogniser(rest, offline)
