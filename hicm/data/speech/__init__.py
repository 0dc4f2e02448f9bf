"""Automatic speech recognition: timed segments of a video's speech, from whatever a recogniser or YouTube wrote."""

from hicm.data.speech.segments import Speech
from hicm.data.speech.store import SpeechStore, open_speech

__all__ = ["Speech", "SpeechStore", "open_speech"]
