"""Moment retrieval: when happens in a video what a sentence says.  See README.md."""
