"""The T5 captioner of Vid2Seq and HiCM2: frames, recalled memory and speech in, timed captions out."""
