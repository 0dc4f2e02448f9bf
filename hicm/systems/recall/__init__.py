"""Captions without training: cut a video where its features change, quote what the memory recalls.  See README.md."""
