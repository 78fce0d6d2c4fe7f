"""numba's compiler, without the steps that kernels do not need: two thirds of its time."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

__all__ = ["EntryCompiler", "InlinedCompiler"]


class _InlinedLibrary(JITCodeLibrary):
    """The code of a kernel that only kernels call: it is linked into theirs, and optimised and made executable there.

    numba would do both for each kernel first, and so once more for every level of calls.
    """

    def finalize(self) -> None:
        """Link the kernels that this one calls, and leave the rest to its caller."""
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0, numba's word for a function that has no machine code here."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> "_InlinedLibrary":
        """What takes a function's environment: itself."""
        return self

    def set_env(self, name: str, environment: object) -> None:
        """Forget the environment: it holds Python objects, which no kernel uses."""


class InlinedCompiler(Compiler):
    """Compiles a kernel that only kernels call, as far as its caller needs it."""

    def __init__(self, typing: Any, target: Any, library: Any, *rest: Any) -> None:
        super().__init__(typing, target, library or _InlinedLibrary(target.codegen(), "kernel"), *rest)


class EntryCompiler(Compiler):
    """Compiles a kernel that Python calls, and all that it calls, while Python collects no garbage.

    The collector takes a tenth of the time, since the compiler keeps nearly all that it makes.
    """

    def compile_extra(self, function: Any) -> Any:
        """Return the compiled function."""
        with _no_collection():
            return super().compile_extra(function)


@contextmanager
def _no_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
