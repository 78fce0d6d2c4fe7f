"""Data: data sets of a teacher, trajectories of a policy, and replay samples of other programs."""
