"""Whether this process is the kernel of a notebook, and the console that writes below its cells."""

import sys

from townlet.report.terminal import Stream, Terminal

__all__ = ["is_notebook", "notebook_console"]

_WIDTH = 100
"""Columns of the live line; a notebook does not tell how wide its cells are."""


def is_notebook() -> bool:
    """Return whether code runs in a notebook's kernel; nothing is imported to find out."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def notebook_console() -> Terminal:
    """Return a console of plain text on stdout, which a notebook shows below the cell.

    Its stderr is shown as a fault, in red.
    """
    stream = Stream("stdout")
    return Terminal(
        file=stream,  # type: ignore[arg-type]  # rich needs no more of a file than a Stream has
        force_jupyter=False,
        force_terminal=False,
        color_system=None,
        highlight=False,
        soft_wrap=True,
        width=_WIDTH,
    )
