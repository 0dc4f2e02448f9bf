"""Torch blocks that more than one system can use."""
