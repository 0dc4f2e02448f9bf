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
from hicm.plugins import find_written
from hicm.progress import Progress, no_progress

GROUP = "hicm.recognisers"
FUNCTION = "recogniser"
RATE = 16_000  # samples per second that recognisers take


class NoSound(UserError):
    """The sound track of a file is missing or cannot be decoded."""


class Recogniser(Protocol):
    """A video or sound file in, transcript out.  Models are loaded at first use, not at construction."""

    @property
    def name(self) -> str:
        """The specification, with a hash of what is read from disk: equal names, equal transcripts."""

    def transcribe(self, path: Path, progress: Progress = no_progress) -> list[dict[str, Any]]:
        """Segments in order: ``{"start", "end", "text", "words": [{"start", "end", "word"}]}``, in seconds.

        Empty if there is no speech.  ``progress`` gets the stage speech, in seconds.  Raises NoSound when the
        sound cannot be read, UserError when the model cannot.
        """


def make_recogniser(spec: str, offline: bool = False) -> Recogniser:
    """The recogniser of a specification ``kind:rest`` (see above).  ``offline``: never contact the hub.

    Raises UserError when the kind is unknown, or when what it needs is not installed.
    """
    module, rest = find_written(spec, __name__, GROUP, FUNCTION, f"--speech: {spec!r} is no recogniser",
                                ", a file or folder of transcripts, or none")
    return module.recogniser(rest, offline)
