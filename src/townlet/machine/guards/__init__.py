"""Guards: verdicts, how each is evaluated, and the sequential paired test behind comparisons."""
