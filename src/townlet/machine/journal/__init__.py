"""The journal: a hash chain of records, the fold to a run's state, and how results are stored in it."""
