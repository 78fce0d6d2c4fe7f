"""A run computes the same bits with any number of threads, and loads no torch."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """\
import sys
from townlet.cli import main
sys.argv = ["townlet", "run", "quickstart", "--rehearse", "--home", sys.argv[1]]
try:
    main()
finally:
    print("torch", "torch" in sys.modules)
"""


def test_a_run_has_the_same_digests_with_one_thread_and_two(tmp_path: Path) -> None:
    """Whatever OMP_NUM_THREADS and OPENBLAS_NUM_THREADS say; torch stays away."""
    ends = []
    for threads in ("1", "2"):
        variables = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / threads)],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 6), done.stderr
        ends.append([line for line in done.stdout.splitlines() if line.startswith(("weights", "semantic", "torch"))])
    assert ends[0] == ends[1]
    assert 3 == len(ends[0])
    assert "torch False" == ends[0][-1]
