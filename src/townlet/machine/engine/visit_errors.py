"""What an error in a visit means for the run: decided here, for every kind of error, and nowhere else.

A run fails only where a strategy or its environment is wrong. What a person can bring back or mend (a missing or
damaged artefact, a package, permissions, memory, a GPU) leaves the visit open, so that a resume continues it.
"""

import errno
from typing import Literal

from townlet.dto.codec import CodecError
from townlet.errors import (
    BadInputError,
    EnvironmentFaultError,
    HoldError,
    ResourceFaultError,
    StoppedError,
    TownletError,
    UnfitCheckpointError,
    UnfitInputError,
)

__all__ = ["Outcome", "left_open", "outcome_of"]

Outcome = Literal["open", "retry", "hold", "fail"]
"""`open`: the process ends and the visit continues later; `retry`: another attempt with the same seeds; `hold`: an
operator decides; `fail`: the run ends."""

_DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors that no further attempt resolves; a person can."""
_DEVICE_ERRORS = frozenset({"AcceleratorError", "OutOfMemoryError"})
"""Classes by which torch says that a GPU, or its memory, is gone. They are compared by name: torch is optional."""
_DEVICE_WORDS = ("CUDA error", "CUDA out of memory", "can't allocate memory", "No CUDA GPUs are available")
"""What torch says in a plain RuntimeError where a GPU or memory is gone."""


def outcome_of(error: Exception, *, last_attempt: bool) -> Outcome:
    """Return what an error means; `last_attempt` where the state's `retry` allows no further one."""
    match error:
        case HoldError():
            return "hold"
        case CodecError():
            return "fail"  # a record that the strategy made is wrong; readers of artefacts raise a plain BadInputError
        case StoppedError() | BadInputError() | ResourceFaultError() | MemoryError() | ImportError():
            return "open"
        case EnvironmentFaultError():
            return "fail" if last_attempt else "retry"
        case OSError():
            return "open" if last_attempt or error.errno in _DISK_FAULTS else "retry"
        case _:
            return "open" if _is_device_fault(error) else "fail"


def left_open(state: str, error: Exception) -> TownletError:
    """Return the error that ends the process where the visit stays open: one sentence with what to do."""
    if isinstance(error, StoppedError | UnfitCheckpointError | ResourceFaultError):
        return error
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    if isinstance(error, BadInputError):
        return UnfitInputError(
            f"{state} cannot go on: {reason}; the visit stays open: bring back or mend what is named, then resume"
        )
    if isinstance(error, MemoryError):
        return ResourceFaultError(f"{state}: the memory is exhausted; the visit stays open: resume with more")
    if isinstance(error, ImportError):
        return ResourceFaultError(
            f"{state}: a package cannot be imported ({reason}); the visit stays open: repair the installation, or give "
            "the process more memory, then resume"
        )
    if isinstance(error, OSError):
        return ResourceFaultError(
            f"{state}: {reason}; the visit stays open: free space, bring the file back or grant access, then resume"
        )
    return ResourceFaultError(
        f"{state}: the device cannot be used ({reason}); the visit stays open: resume where it can"
    )


def _is_device_fault(error: Exception) -> bool:
    names = {cls.__name__ for cls in type(error).__mro__ if cls.__module__.partition(".")[0] == "torch"}
    if names & _DEVICE_ERRORS:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _DEVICE_WORDS)
