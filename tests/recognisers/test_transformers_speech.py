"""The recogniser that runs models of Transformers, on a tiny Whisper with random weights in the real format."""

import wave

import numpy as np
import pytest

from hicm.errors import UserError
from hicm.recognisers import NoSound, make_recogniser

MARKS = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
         "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """A folder as save_pretrained writes it: letters for a vocabulary, and the tokens of times up to 30 seconds."""
    import torch
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperTokenizer,
    )

    folder = tmp_path_factory.mktemp("whisper")
    tokenizer = WhisperTokenizer({letter: row for row, letter in enumerate(sorted(ByteLevel.alphabet()))}, [])
    tokenizer.add_tokens(MARKS + [f"<|{step * 0.02:.2f}|>" for step in range(1501)], special_tokens=True)
    mark = {name.strip("<|>"): tokenizer.convert_tokens_to_ids(name) for name in MARKS}
    end = {"pad_token_id": mark["endoftext"], "bos_token_id": mark["endoftext"], "eos_token_id": mark["endoftext"],
           "decoder_start_token_id": mark["startoftranscript"]}
    torch.manual_seed(0)
    model = WhisperForConditionalGeneration(WhisperConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_target_positions=32, **end))
    model.generation_config = GenerationConfig(
        **end, no_timestamps_token_id=mark["notimestamps"], prev_sot_token_id=mark["startofprev"], max_length=30,
        is_multilingual=True, lang_to_id={"<|en|>": mark["en"]}, max_initial_timestamp_index=50,
        task_to_id={name: mark[name] for name in ("transcribe", "translate")})
    for part in (tokenizer, WhisperFeatureExtractor(), model):
        part.save_pretrained(folder)
    return folder


def sound(path, seconds=40):
    """A tone at 8 kHz, two channels: neither what models take."""
    tone = np.sin(np.arange(8000 * seconds) / 9) * 9000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.repeat(tone.astype("<i2"), 2).tobytes())
    return path


@pytest.mark.parametrize("offline", [True, False])
def test_segments_with_their_times(whisper, tmp_path, offline):
    recogniser = make_recogniser(f"transformers:{whisper}", offline)
    found = recogniser.transcribe(sound(tmp_path / "x.wav"))
    assert found and recogniser.name.startswith(f"transformers:{whisper.name}@")
    for segment in found:
        assert set(segment) == {"start", "end", "text", "words"} and type(segment["text"]) is str
        assert 0 <= segment["start"] <= segment["end"] <= 40


def test_no_sound_and_no_model(whisper, tmp_path):
    (tmp_path / "x.wav").write_text("text")
    with pytest.raises(NoSound, match=r"x\.wav: the sound cannot be decoded"):
        make_recogniser(f"transformers:{whisper}").transcribe(tmp_path / "x.wav")
    with pytest.raises(UserError, match=r"--speech transformers:empty.*: cannot be loaded \(.*give a folder with"):
        (tmp_path / "empty").mkdir()
        make_recogniser(f"transformers:{tmp_path / 'empty'}").transcribe(sound(tmp_path / "y.wav", 1))
