"""A command in a real pseudo-terminal, and what a person would see of it."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic

import pyte
from attrs import frozen

__all__ = ["Shown", "in_terminal"]


@frozen
class Shown:
    """What a command showed in a terminal."""

    code: int
    """Its exit code; below 0 for a signal."""
    screens: tuple[tuple[str, ...], ...]
    """The screen after each piece that was written, its lines without blanks at the end."""
    written: bytes
    """Everything that was written."""

    @property
    def lines(self) -> set[str]:
        """Every line that was on the screen at any time."""
        return {line for screen in self.screens for line in screen}


def in_terminal(
    command: Sequence[str],
    folder: Path,
    *,
    columns: int = 80,
    rows: int = 40,
    environment: Mapping[str, str] | None = None,
    on_screen: Callable[[subprocess.Popen[bytes], tuple[str, ...]], None] = lambda _, __: None,
    patience: float = 120.0,
) -> Shown:
    """Run a command in a terminal of this size; `on_screen` gets the process and each new screen."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen = pyte.Screen(columns, rows)
    stream, screens, written, until = pyte.ByteStream(screen), list[tuple[str, ...]](), b"", monotonic() + patience
    variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
    with subprocess.Popen(
        command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, start_new_session=True
    ) as process:
        os.close(theirs)
        while True:
            assert monotonic() < until, screens[-1:]
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            written += piece
            stream.feed(piece)
            screens.append(tuple(line.rstrip() for line in screen.display))
            on_screen(process, screens[-1])
    os.close(ours)
    return Shown(process.returncode, tuple(screens), written)
