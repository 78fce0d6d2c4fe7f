"""Runs the commands that stdin names, one after the other, with the stdout and stderr that this process was given.

After each it writes a line to stdout: a NUL, the exit code, a blank, and the exception that came out of it, if any.
"""

import json
import os
import sys

from townlet.cli import run_command


def main() -> None:
    """Read one JSON document, a list of command lines."""
    for texts in json.loads(sys.stdin.buffer.read()):
        words = [os.fsdecode(text.encode()) for text in texts]  # as Python makes them of the bytes that a shell passes
        try:
            end = f"{run_command(words)} "
        except BaseException as error:  # noqa: BLE001 - whatever comes out of a command is what is looked for
            end = f"1 {type(error).__name__}: {error!r}"
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(1, b"\n\0" + ascii(end)[1:-1].encode() + b"\n")


if __name__ == "__main__":
    main()
