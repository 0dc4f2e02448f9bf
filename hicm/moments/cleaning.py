"""What is done to annotated spans before they are used, and how often.

The rules that MESM and others apply to Charades-STA and its relatives, in this order: a span that starts after the end
of the video is skipped; start and end are exchanged where they are in the wrong order; the end is cut to the video's.
"""

from collections import Counter


class Cleaning:
    """Applies the rules and counts what they did."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def clean(self, start: float, end: float, duration: float | None) -> tuple[float, float] | None:
        """The span in seconds, or None if it is skipped; without a duration only the order is mended."""
        if duration is not None and start > duration:
            self.counts["queries skipped (start after the end of the video)"] += 1
            return None
        if start > end:
            self.counts["spans with start and end exchanged"] += 1
            start, end = end, start
        if duration is not None and end > duration:
            self.counts["ends cut to the end of the video"] += 1
            end = duration
        return start, end
