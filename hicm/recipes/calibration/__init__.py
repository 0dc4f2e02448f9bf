"""Settings of the captioner's decoding, chosen on held-out videos."""
