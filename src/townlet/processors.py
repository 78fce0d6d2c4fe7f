"""How many processors this process may use."""

import os

__all__ = ["usable_processors"]


def usable_processors() -> int:
    """Return the number of processors that this process may use; where the system does not say, of all."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
