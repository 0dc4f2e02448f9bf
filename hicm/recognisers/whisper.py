"""Whisper through faster-whisper (CTranslate2): several times as fast as the original, on CPU and GPU."""

import difflib
import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.encoders.model_files import identify
from hicm.errors import UserError, reason
from hicm.loading import NoModel, loading, refuse_nowhere
from hicm.progress import Progress, no_progress
from hicm.recognisers import NoSound

FORM = "whisper:<size or folder>"
REMEDY = "give a folder with the model in CTranslate2's form"


def recogniser(rest: str, offline: bool) -> "Whisper":
    """Whisper of a size (tiny, base, small, medium, large-v2, ...), or in a folder of CTranslate2's form.

    Raises UserError when faster-whisper is not installed, and NoModel for what is neither.
    """
    if importlib.util.find_spec("faster_whisper") is None:
        raise UserError(f"whisper:{rest} needs faster-whisper; install it: pip install 'hicm[speech]', or caption "
                        "without speech: --no-speech")
    found = Whisper(rest, offline)
    found.check()
    return found


class Whisper:
    """Greedy decoding would loop on music and silence: beams of 5 and a voice detector, as faster-whisper advises."""

    def __init__(self, rest: str, offline: bool) -> None:
        self.source, self.offline = rest, offline
        self.name = f"whisper:{identify(rest)}"

    def check(self) -> None:
        """NoModel for what is no size of Whisper, no folder and no name on the hub."""
        from faster_whisper import available_models

        if "/" in self.source or Path(self.source).exists():
            refuse_nowhere(f"--speech {self.name}", self.source, REMEDY)
        elif self.source not in available_models():
            nearest = difflib.get_close_matches(self.source, available_models(), n=1, cutoff=0)[0]
            raise NoModel(f"--speech {self.name}: no size of Whisper and no folder; the nearest size is {nearest}")

    @cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel
        from faster_whisper.utils import _MODELS as repositories

        with loading(f"--speech {self.name}", repositories.get(self.source, self.source), self.offline, REMEDY,
                     "Whisper model") as closed:
            return WhisperModel(self.source, device="auto", compute_type="auto", local_files_only=bool(closed))

    def transcribe(self, path: Path, progress: Progress = no_progress) -> list[dict[str, Any]]:
        """Segments with word times."""
        from faster_whisper import decode_audio

        model = self._model
        try:
            sound = decode_audio(str(path))
        except Exception as error:  # no sound, or a track that cannot be decoded
            raise NoSound(f"{path}: the sound cannot be decoded ({reason(error)})") from error
        segments, about = model.transcribe(sound, word_timestamps=True, vad_filter=True)
        found = []
        for segment in segments:  # recognised one by one
            found.append({"start": float(segment.start), "end": float(segment.end), "text": segment.text.strip(),
                          "words": [{"start": float(word.start), "end": float(word.end), "word": word.word.strip()}
                                    for word in segment.words or ()]})
            progress("speech", segment.end, about.duration)
        return found
