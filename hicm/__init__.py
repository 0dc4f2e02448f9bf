"""hicm: hierarchical-memory dense video captioning.

Data flows one way, and stages meet in files:
annotations/features -> memory -> retrieval -> captioner -> predictions -> evaluation -> report.
"""

__version__ = "0.2.0"
