"""Whisper through faster-whisper (CTranslate2): several times as fast as the original, on CPU and GPU."""

import difflib
import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.encoders.model_files import identify
from hicm.errors import UserError, reason
from hicm.loading import NoModel, loading
from hicm.progress import Progress, no_progress
from hicm.recognisers import NoSound

FORM = "whisper:<size or folder>"


def recogniser(rest: str, offline: bool) -> "Whisper":
    """Whisper of a size (tiny, base, small, medium, large-v2, ...), or in a folder of CTranslate2's form."""
    if importlib.util.find_spec("faster_whisper") is None:
        raise UserError(f"--speech whisper:{rest} needs faster-whisper; install it: pip install 'hicm[speech]', or "
                        "give --no-speech")
    return Whisper(rest, offline)


class Whisper:
    """Greedy decoding would loop on music and silence: beams of 5 and a voice detector, as faster-whisper advises."""

    def __init__(self, rest: str, offline: bool) -> None:
        self.source, self.offline = rest, offline
        self.name = f"whisper:{identify(rest)}"

    @cached_property
    def _model(self) -> Any:
        from faster_whisper import WhisperModel, available_models
        from faster_whisper.utils import _MODELS as repositories

        if "/" not in self.source and self.source not in available_models() and not Path(self.source).exists():
            nearest = difflib.get_close_matches(self.source, available_models(), n=1, cutoff=0)[0]
            raise NoModel(f"--speech {self.name}: no size of Whisper and no folder; the nearest size is {nearest}")
        with loading(f"--speech {self.name}", repositories.get(self.source, self.source), self.offline,
                     "give a folder with the model in CTranslate2's form", "Whisper model") as closed:
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
