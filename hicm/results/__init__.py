"""Published scores next to measured ones: what a paper reports, what was measured here, and whether they agree."""
