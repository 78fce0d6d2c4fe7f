"""Runs each client's program in a virtual environment of its own and prints a table: `tox -e clients -- rllib sb3`.

One at a time, and each environment is removed after use: they hold up to three gigabytes each. Every program ends with
the line that `counting.report` writes.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent
# What pip installs beside Townlet; the first names the version that the table shows.
CLIENTS = {
    "pettingzoo": ("pettingzoo",),
    "gymnasium": ("gymnasium",),
    "sb3": ("sb3-contrib", "stable-baselines3"),
    "supersuit": ("supersuit", "sb3-contrib"),
    "rllib": ("ray[rllib]",),
    "torchrl": ("torchrl",),
    "tianshou": ("tianshou",),
    "agilerl": ("agilerl", "peft"),  # agilerl 2.58 imports peft, which only its extras name
    "minari": ("minari[create,hdf5]", "pillow"),  # minari 0.5 imports Pillow, which it names nowhere
}
WITHOUT_TORCH = {"pettingzoo", "gymnasium", "minari"}
MOST_SECONDS = 1800
COLUMNS = ("client", "version", "checker", "updates", "actions", "illegal", "seconds", "outcome")
VERSIONS = """
import importlib.metadata as m, sys
print(", ".join([m.version(sys.argv[1]), *(f"{n} {m.version(n)}" for n in sys.argv[2:] if n != sys.argv[1])]))
"""


def main() -> None:
    """Run the clients that are named, or all; exit with 1 where one does not pass."""
    options = argparse.ArgumentParser(description="Run other libraries on the town.")
    options.add_argument("clients", nargs="*", metavar="CLIENT", help=f"any of {', '.join(CLIENTS)}; all by default")
    names = options.parse_args().clients or list(CLIENTS)
    unknown = sorted(set(names) - set(CLIENTS))
    if unknown:
        options.error(f"no client is called {', '.join(unknown)}; there are {', '.join(CLIENTS)}")
    if hasattr(os, "nice"):
        os.nice(10)
    write_row(COLUMNS)
    write_row(["---"] * len(COLUMNS))
    failed = [name for name in names if not run_client(name, CLIENTS[name], PROGRAMS / f"{name}_client.py")]
    sys.exit(1 if failed else 0)


def run_client(name: str, packages: Sequence[str], program: Path) -> bool:
    """Install a client, run its program, write its row, and say whether it passed."""
    start = time.perf_counter()
    version, cells = "", ["", "", "", ""]
    with tempfile.TemporaryDirectory(prefix=f"townlet-{name}-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        extra = "env" if name in WITHOUT_TORCH else "env,torch"
        install = [python, "-m", "pip", "install", "-c", ROOT / "constraints.txt", f"{ROOT}[{extra}]", *packages]
        pip = execute(install, folder, os.environ)
        if pip.returncode:
            outcome = f"not installed: {pip_reason(pip)}"
        else:
            # The kernels that this installation compiles go with the folder.
            environment = {**os.environ, "XDG_CACHE_HOME": folder, "PYTHONDONTWRITEBYTECODE": "1"}
            package = packages[0].partition("[")[0]
            versions = [python, "-c", VERSIONS, package, "gymnasium", "pettingzoo"]
            version = execute(versions, folder, environment).stdout.strip()
            *cells, outcome = judge(execute([python, program], folder, environment))
    write_row([name, version, *cells, f"{time.perf_counter() - start:.0f}", outcome])
    return outcome == "passed"


def execute(
    command: Sequence[str | Path], folder: str | Path, environment: Mapping[str, str], seconds: float = MOST_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a command in the client's folder and keep what it prints; one that takes too long is ended, and says so."""
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(list(command), 1, "", f"not finished after {seconds} s")


def judge(process: subprocess.CompletedProcess[str]) -> tuple[str, str, str, str, str]:
    """Return checker, updates, actions, illegal and outcome of a program.

    It passed if it ended well, counted actions and none of them was illegal.
    """
    if process.returncode:
        return "", "", "", "", f"failed: {last_line(process.stderr or process.stdout)}"
    try:
        report = json.loads(last_line(process.stdout))
        checker, updates, actions, illegal = (str(report[key]) for key in ("checker", "updates", "actions", "illegal"))
    except (ValueError, KeyError, TypeError):
        return "", "", "", "", "failed: its program reported nothing"
    outcome = "passed"
    if not report["actions"]:
        outcome = "failed: it counted no action"
    elif report["illegal"]:
        outcome = "failed: it played actions that the masks forbid"
    return checker, updates, actions, illegal, outcome


def pip_reason(process: subprocess.CompletedProcess[str]) -> str:
    """Return pip's errors, and the requirements that conflict, in one line."""
    errors = re.findall(r"^\s*ERROR: (?!ResolutionImpossible)(.*)$", process.stderr, re.MULTILINE)
    conflict = re.search(r"^The conflict is caused by:\n(?:[ ]+.*\n?)+", process.stdout, re.MULTILINE)
    reason = " ".join([*errors, *(conflict[0].split() if conflict else [])])
    return (reason or last_line(process.stderr or process.stdout)).replace("|", "/")


def last_line(text: str) -> str:
    """Return the last line of a text, which is where Python names the reason."""
    return (text.strip() or "no output").splitlines()[-1].replace("|", "/")


def write_row(cells: Sequence[str]) -> None:
    """Show a row at once: the next client takes minutes."""
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
