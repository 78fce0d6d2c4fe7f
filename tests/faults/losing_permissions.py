"""A process that is not root walks a run whose directory becomes read-only under it."""

import os
import sys
from pathlib import Path

from fakes import Bench

from townlet.dto.journal import Entry, VisitFinished
from townlet.errors import EnvironmentFaultError


def main(home: Path) -> None:
    """Walk until the directory is closed, open it again, walk to the end; say what happened."""
    whole = Bench(home / "whole")
    whole.walk()  # also loads all code, before this process may read it no more
    if os.getuid() == 0:
        os.setuid(65534)
    bench = Bench(home / "run")

    def listen(entry: Entry) -> None:
        if isinstance(entry.record, VisitFinished) and entry.record.state == "bc":
            bench.home.chmod(0o555)
            bench.path.chmod(0o444)

    try:
        bench.engine(listen).run()
    except EnvironmentFaultError as error:
        reason = "Permission denied" if "Permission denied" in str(error) else str(error)
        sys.stdout.write(f"refused {reason}\n")
    bench.home.chmod(0o755)
    bench.path.chmod(0o644)
    sys.stdout.write(f"{bench.walk().state} {bench.journal().semantic}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
