"""Runs each client's program in a virtual environment of its own and prints a table: `tox -e clients -- rllib sb3`.

One at a time, and each environment is removed after use: they hold one to three gigabytes each.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What pip installs beside Townlet; the first names the version that the table shows.
CLIENTS = {
    "pettingzoo": ("pettingzoo",),
    "gymnasium": ("gymnasium",),
    "supersuit": ("supersuit",),
    "sb3": ("sb3-contrib", "stable-baselines3"),
    "rllib": ("ray[rllib]",),
    "torchrl": ("torchrl",),
}
WITHOUT_TORCH = {"pettingzoo", "gymnasium", "supersuit"}
RESULT = re.compile(r"^(\d+) actions, (\d+) illegal, (.*)$", re.MULTILINE)


def main() -> None:
    """Run the clients that are named, or all; exit with 1 where one fails or plays an illegal action."""
    options = argparse.ArgumentParser(description="Run other libraries on the town.")
    options.add_argument("clients", nargs="*", metavar="CLIENT", help=f"any of {', '.join(CLIENTS)}; all by default")
    names = options.parse_args().clients or list(CLIENTS)
    unknown = sorted(set(names) - set(CLIENTS))
    if unknown:
        options.error(f"no client is called {', '.join(unknown)}; there are {', '.join(CLIENTS)}")
    write("| client | version | actions | illegal | updates | seconds | outcome |\n|---|---|---|---|---|---|---|")
    failed = [name for name in names if not run_client(name)]
    sys.exit(1 if failed else 0)


def write(line: str) -> None:
    """Show a line at once: the next client takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def run_client(name: str) -> bool:
    """Install a client, run its program, write its row, and say whether it kept to the masks."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=f"townlet-{name}-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        extra = "env" if name in WITHOUT_TORCH else "env,torch"
        installed = start_process(
            [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", f"{ROOT}[{extra}]", *CLIENTS[name]],
            folder,
        )
        if installed.returncode:
            return write_row(name, "", None, start, f"not installed: {last_line(installed)}")
        package = CLIENTS[name][0].partition("[")[0]
        asked = start_process([python, "-c", f"import importlib.metadata as m; print(m.version({package!r}))"], folder)
        played = start_process([python, ROOT / "tests" / "clients" / f"{name}_client.py"], folder)
        result = RESULT.search(played.stdout)
        outcome = f"failed: {last_line(played)}" if played.returncode else "passed"
        return write_row(name, asked.stdout.strip(), result, start, outcome)


def start_process(command: list[str | Path], folder: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the client's folder and keep what it prints."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def last_line(process: subprocess.CompletedProcess[str]) -> str:
    """Give the last line that a process wrote, which is where pip and Python name the reason."""
    lines = (process.stderr.strip() or process.stdout.strip() or "no output").splitlines()
    return lines[-1].replace("|", "/")


def write_row(name: str, version: str, result: re.Match[str] | None, start: float, outcome: str) -> bool:
    """Write a client's row and say whether it passed without an illegal action."""
    count, illegal, updates = result.groups() if result else ("", "", "")
    if int(illegal or 0):
        outcome = "failed: it played actions that the masks forbid"
    seconds = f"{time.perf_counter() - start:.0f}"
    write(f"| {name} | {version} | {count} | {illegal} | {updates} | {seconds} | {outcome} |")
    return outcome == "passed"


if __name__ == "__main__":
    main()
