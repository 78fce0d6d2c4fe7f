"""Compare quickstart's weights with those known for this processor: ``python tests/quickstart_digest.py OUTPUT``.

`OUTPUT` holds what ``townlet run quickstart`` printed, with ``OMP_NUM_THREADS=1``. The last bits belong to the kernel
that OpenBLAS uses and to numpy's vector instructions; for a processor that is not noted here nothing is compared, and
that is said.
"""

import sys
from pathlib import Path

from townlet.policy.training.fingerprint import fingerprint

KNOWN = {
    ("Haswell", False): "74bac554c34bd44d",
    ("Haswell", True): "74bac554c34bd44d",
    ("SkylakeX", True): "89b0c3313636494a",
}
"""The beginning of the digest, by OpenBLAS's kernel and whether numpy uses AVX-512."""


def main() -> int:
    """Return 1 where the digest differs from the known one."""
    found = next(
        line.split()[1] for line in Path(sys.argv[1]).read_text("utf-8").splitlines() if line[:8] == "weights "
    )
    about = fingerprint()
    processor = about["blas"], "AVX512F" in about["cpu_features"].split()
    expected = KNOWN.get(processor)
    if expected is None:
        sys.stdout.write(f"not compared: no digest is known for {processor}; here it is {found[:16]}\n")
        return 0
    if not found.startswith(expected):
        sys.stderr.write(f"quickstart's weights are {found[:16]}, expected {expected} {processor}\n")
        return 1
    sys.stdout.write(f"quickstart's weights are {found[:16]}, as known for {processor}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
