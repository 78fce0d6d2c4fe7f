"""Data: recorded play, data sets, and samples from other programs."""
