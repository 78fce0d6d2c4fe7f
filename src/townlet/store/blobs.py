"""Content-addressed bytes: weights, checkpoints, data sets and evidence, named by their SHA-256."""

import os
import re
import shutil
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from attrs import frozen

from townlet.errors import BadInputError
from townlet.store.files import (
    contained,
    create_private,
    make_directory,
    open_regular,
    read_bytes,
    resource_errors,
    write_atomic,
)

__all__ = ["BlobStore"]

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@frozen
class BlobStore:
    """Blobs under ``root/sha256/ab/abcdef…``: every read is verified, equal content is stored once."""

    root: Path
    """Directory that holds ``sha256/``; created with the first blob."""

    def path(self, digest: str) -> Path:
        """Return the path of a blob, stored or not; BadInputError for anything but 64 lower-case hex digits."""
        if _DIGEST.fullmatch(digest) is None:
            raise BadInputError(f"{digest!r} is not a digest; expected 64 lower-case hexadecimal digits (SHA-256)")
        return self.root / "sha256" / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Store `data` durably and return its digest; equal content is stored once, a damaged copy is replaced."""
        digest = sha256(data).hexdigest()
        path = contained(self.root, str(self.path(digest).relative_to(self.root)))
        if path.is_file():
            with resource_errors("read this blob", path), suppress(FileNotFoundError):
                if read_bytes(path) == data:
                    os.utime(path)  # a sweep that began earlier must not remove it
                    return digest
        make_directory(path.parent)
        write_atomic(path, data)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the verified content of a blob; BadInputError naming the digest where it is missing or damaged."""
        path = self.path(digest)
        if not path.is_file():
            raise BadInputError(f"{self.root}: blob {digest} is missing; restore it or run its state again")
        with resource_errors("read this blob", path):
            data = read_bytes(path)
        actual = sha256(data).hexdigest()
        if actual != digest:
            raise BadInputError(
                f"{path}: blob {digest} is damaged (its content has the digest {actual}); "
                "remove the file and restore it or run its state again"
            )
        return data

    def has(self, digest: str) -> bool:
        """Tell whether a blob is stored under this digest; its content is verified by `get`."""
        return self.path(digest).is_file()

    def size(self) -> int:
        """Return the bytes of all blobs on disk."""
        return sum(file.stat().st_size for file in self.root.glob("sha256/*/*") if file.is_file())

    def free(self) -> int:
        """Return the bytes that the file system still has for this process."""
        root = next(path for path in (self.root, *self.root.absolute().parents) if path.exists())
        with resource_errors("read the free space of this file system", root):
            return shutil.disk_usage(root).free

    def mark(self) -> int:
        """Return the file system's present time in ns; a sweep from then on removes nothing stored later."""
        make_directory(self.root)
        marker = self.root / ".sweep"
        with resource_errors("mark this store", marker):
            descriptor = open_regular(marker, os.O_RDWR) if marker.exists() else create_private(marker)
            try:
                os.utime(descriptor)
                return os.fstat(descriptor).st_mtime_ns
            finally:
                os.close(descriptor)

    def sweep(self, live: frozenset[str], started: int, *, dry: bool = False) -> tuple[int, int]:
        """Remove every blob that is not `live` and older than `started` (ns); return their number and bytes.

        Temporary files of processes that died are removed too. `dry` only counts.
        """
        count = size = 0
        for path in sorted(self.root.glob("sha256/*/*")):
            is_blob = _DIGEST.fullmatch(path.name) is not None
            if path.name in live or not (is_blob or path.suffix == ".tmp") or not path.is_file() or path.is_symlink():
                continue
            path_size = path.stat().st_size
            if path.stat().st_mtime_ns < started and (dry or _remove(path, started)):
                count, size = count + 1, size + path_size
        return count, size


def _remove(path: Path, started: int) -> bool:
    """Remove a file unless another process stores it again at this moment; tell whether it is removed."""
    aside = path.with_name(f".{path.name.strip('.')}.swept.tmp")
    with resource_errors("remove this blob", path):
        path.rename(aside)
        if aside.stat().st_mtime_ns >= started:
            aside.rename(path)
            return False
        aside.unlink()
    return True
