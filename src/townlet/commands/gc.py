"""`townlet gc`: free the blobs that no run and no registry entry names, and compiled kernels of other versions."""

from typing import Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import HOME, Home, Json
from townlet.commands.overview import OTHERS

__all__ = ["gc"]

gc = App(
    name="gc",
    help="Free what no run and no registry entry names, and kernels of other versions.",
    help_format="plaintext",
    group=OTHERS,
)


@gc.default
def free(
    *,
    dry_run: Annotated[bool, Parameter(negative="", help="Only print what would be freed.")] = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Free the blobs that no run and no registry entry names, and kernels that other versions compiled.

    Exit code 3 while a run is active.
    """
    from townlet.compiled import cache_folder
    from townlet.kernel_cache import bytes_of, old_folders, remove_old
    from townlet.machine.audit.gc import sweep
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal

    report, folder = sweep(home, catalogue(), dry=dry_run), cache_folder()
    kernels = 0
    try:
        if folder is not None:
            kernels = sum(bytes_of(old) for old in old_folders(folder))
            if not dry_run:
                remove_old(folder, 0)
    except OSError as error:  # the cache is another user's; the blobs are freed all the same
        terminal.warn(f"{error.filename or folder}: {error.strerror}; kernels that other versions compiled stay there")
    if json:
        terminal.show_json(report.model_dump() | {"kernel_bytes": kernels})
    else:
        done = "would free" if dry_run else "freed"
        terminal.show(
            f"{done} {report.bytes_:,} bytes in {report.blobs} blobs; {report.live} named by {report.runs} runs"
        )
        if folder is not None and kernels:
            terminal.show(f"{done} {kernels:,} bytes of kernels that other versions compiled, in {folder.parent}")
    return 0
