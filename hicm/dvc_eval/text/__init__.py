"""Caption metrics over sets of (hypothesis, reference) pairs, with pycocoevalcap's numbers."""
