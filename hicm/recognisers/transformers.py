"""Speech recognition models of Transformers, e.g. the original Whisper weights."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hicm.encoders.model_files import identify
from hicm.errors import reason
from hicm.loading import loading, refuse_nowhere
from hicm.progress import Progress, no_progress
from hicm.recognisers import RATE, NoSound

FORM = "transformers:<name or folder>"
REMEDY = "give a folder with the model"
CHUNK = 30.0  # seconds of Whisper's window


def recogniser(rest: str, offline: bool) -> "Transformers":
    """The model in the folder or hub repository ``rest``.  Raises NoModel for a path that does not exist."""
    found = Transformers(rest, offline)
    refuse_nowhere(f"--speech {found.name}", rest, REMEDY)
    return found


class Transformers:
    """The automatic-speech-recognition pipeline, with the time stamps of its segments; words have none."""

    def __init__(self, rest: str, offline: bool) -> None:
        self.source, self.offline = rest, offline
        self.name = f"transformers:{identify(rest)}"

    @cached_property
    def _pipeline(self) -> Any:
        import torch
        from transformers import pipeline

        with loading(f"--speech {self.name}", self.source, self.offline, REMEDY, "speech recogniser"):
            return pipeline("automatic-speech-recognition", self.source, device=0 if torch.cuda.is_available() else -1)

    def transcribe(self, path: Path, progress: Progress = no_progress) -> list[dict[str, Any]]:
        """Segments within the sound; the last one ends with it where the model leaves its end open.

        ``progress`` is not called: the pipeline returns all segments at once.
        """
        sound = decode(path)
        length = len(sound) / RATE
        found = self._pipeline({"raw": sound, "sampling_rate": RATE}, chunk_length_s=CHUNK, return_timestamps=True)
        segments = []
        for chunk in found["chunks"]:
            start, end = (length if time is None else min(float(time), length) for time in chunk["timestamp"])
            if start < end:  # it also finds words in the silence that pads its window
                segments.append({"start": start, "end": end, "text": chunk["text"].strip(), "words": []})
        return segments


def decode(path: Path) -> np.ndarray:
    """The first sound track, float32 [samples] at `RATE`, one channel.  Raises NoSound when it cannot be decoded."""
    import av

    parts = []
    try:
        with av.open(str(path)) as container:
            resampler = av.AudioResampler("flt", "mono", RATE)
            for frame in container.decode(container.streams.audio[0]):
                parts += [out.to_ndarray()[0] for out in resampler.resample(frame)]
            parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
    except (av.error.FFmpegError, IndexError, ValueError) as error:
        raise NoSound(f"{path}: the sound cannot be decoded ({reason(error)})") from error
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
