"""Everything between a schedule and its decisions: checks, guards, journal, engine and audit; no torch, no training."""
