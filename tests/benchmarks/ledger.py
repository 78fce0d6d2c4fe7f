"""Results as JSON lines: a trial that is written down is not run again, whatever stopped the benchmark before."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from attrs import frozen

__all__ = ["Ledger", "Row", "run_all"]

Row = dict[str, Any]
T = TypeVar("T")


@frozen
class Ledger:
    """A file of finished trials."""

    path: Path
    """One JSON object a line, each with its `key`."""

    def rows(self) -> tuple[Row, ...]:
        """Return what is written down; a last line that a crash cut off is not."""
        if not self.path.exists():
            return ()
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return tuple(json.loads(line) for line in lines if line.endswith("\n"))

    def holds(self, key: Mapping[str, Any]) -> bool:
        """Tell whether a trial is written down."""
        return any(row["key"] == dict(key) for row in self.rows())

    def append(self, key: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Write a finished trial down, durably; what a crash left of an unfinished line is cut away first."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = b"".join(json.dumps(known, sort_keys=True).encode() + b"\n" for known in self.rows())
        if self.path.exists() and self.path.stat().st_size > 0 and not self.path.read_bytes().endswith(b"\n"):
            self.path.write_bytes(whole)
        with self.path.open("ab") as file:
            file.write(json.dumps({"key": dict(key), **row}, sort_keys=True, allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


def run_all(
    ledger: Ledger, trials: Iterable[tuple[Row, T]], run: Callable[[T], Row], *, jobs: int, threads: int | None
) -> Iterator[tuple[Row, Row | None]]:
    """Run the trials that are not written down and yield (key, row) as each ends; no row where it was there already.

    With more than one job each trial has a process of its own, and `threads` (1 where not given) for its products.
    """
    waiting = []
    for key, trial in trials:
        if ledger.holds(key):
            yield key, None
        else:
            waiting.append((key, trial))
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if jobs > 1 or threads is not None:
        count = str(threads or 1)
        os.environ.update(OMP_NUM_THREADS=count, OPENBLAS_NUM_THREADS=count, MKL_NUM_THREADS=count)
    # A fresh process for each trial: the thread counts above hold, and none inherits another's memory.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        running = {pool.submit(run, trial): key for key, trial in waiting}
        for ended in as_completed(running):
            row = ended.result()
            ledger.append(running[ended], row)
            yield running[ended], row
