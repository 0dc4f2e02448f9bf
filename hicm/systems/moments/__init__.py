"""Moment retrieval: the moments of a video that a sentence describes.  See README.md."""
