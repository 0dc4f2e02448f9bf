"""Whisper through faster-whisper (CTranslate2): several times as fast as the original, on CPU and GPU."""

import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Any

from hicm.encoders.model_files import identify
from hicm.errors import UserError, reason
from hicm.progress import Progress, unseen
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
        from faster_whisper import WhisperModel

        try:
            return WhisperModel(self.source, device="auto", compute_type="auto", local_files_only=self.offline)
        except Exception as error:  # unknown names, missing files, no network: all raise their own
            raise UserError(f"--speech {self.name}: cannot be loaded ({reason(error)}); give a size such as base or "
                            "large-v2, or a folder with the model") from error

    def transcribe(self, path: Path, progress: Progress = unseen) -> list[dict[str, Any]]:
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
