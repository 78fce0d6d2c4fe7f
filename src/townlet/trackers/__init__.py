"""Trackers: a run's numbers where a team's other numbers are. None of them can stop, slow or change a run."""
