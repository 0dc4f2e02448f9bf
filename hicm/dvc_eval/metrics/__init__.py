"""The metrics: statistics of every video, and the sums that scores are made of."""
