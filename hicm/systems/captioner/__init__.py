"""The T5 captioner of Vid2Seq and HiCM2: from frames, recalled memory and speech to timed captions."""
