"""Blobs are named by their content, and what is read is what was stored."""

from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet.errors import BadInputError
from townlet.store.blobs import BlobStore


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=100), max_size=5))
def test_every_blob_comes_back_under_its_digest(contents: list[bytes]) -> None:
    """The digest is SHA-256, content comes back bit for bit, and equal content is kept once."""
    with TemporaryDirectory() as root:
        store = BlobStore(Path(root))
        digests = [store.put(data) for data in contents]

        assert [sha256(data).hexdigest() for data in contents] == digests
        assert contents == [store.get(digest) for digest in digests]
        assert sum(len(data) for data in set(contents)) == store.size()


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    """A second put of the same bytes leaves the file as it is; only its time says that it was asked for again."""
    store = BlobStore(tmp_path)
    before = store.path(store.put(b"weights")).stat()
    after = store.path(store.put(b"weights")).stat()

    assert before.st_ino == after.st_ino
    assert before.st_mtime_ns <= after.st_mtime_ns


def test_a_sweep_frees_what_is_not_kept(tmp_path: Path) -> None:
    """Kept blobs stay, others and half-written files go, what is no blob is left alone; a dry sweep only counts."""
    store = BlobStore(tmp_path)
    kept, freed = store.put(b"kept"), store.put(b"freed")
    (store.path(freed).parent / ".half.tmp").write_bytes(b"ha")
    (store.path(freed).parent / "notes.txt").write_bytes(b"mine")
    begun = store.mark() + 1

    assert (2, 7) == store.sweep(frozenset({kept}), begun, dry=True)
    assert b"freed" == store.get(freed)
    assert (2, 7) == store.sweep(frozenset({kept}), begun)
    assert [store.path(kept), store.path(freed).parent / "notes.txt"] == sorted(
        (p for p in tmp_path.rglob("*") if p.is_file() and p.name != ".sweep"), key=lambda p: p.name == "notes.txt"
    )


def test_a_sweep_spares_what_is_asked_for_meanwhile(tmp_path: Path) -> None:
    """A blob stored or stored again after the sweep began stays, though nothing names it yet."""
    store = BlobStore(tmp_path)
    old = store.put(b"old")
    begun = store.mark()
    new = store.put(b"new")
    store.put(b"old")

    assert (0, 0) == store.sweep(frozenset(), begun)
    assert (b"old", b"new") == (store.get(old), store.get(new))


def test_a_damaged_blob_is_refused_and_healed_by_storing_it_again(tmp_path: Path) -> None:
    """One changed byte is noticed on reading; storing the true content replaces the damaged file."""
    store = BlobStore(tmp_path)
    digest = store.put(b"weights")
    store.path(digest).write_bytes(b"weighTs")

    with pytest.raises(BadInputError, match=f"blob {digest} is damaged"):
        store.get(digest)

    assert digest == store.put(b"weights")
    assert b"weights" == store.get(digest)


def test_a_missing_blob_is_named(tmp_path: Path) -> None:
    """Asking for what is not there names the digest and creates nothing."""
    store = BlobStore(tmp_path / "blobs")

    assert not store.has("0" * 64)
    assert 0 == store.size()
    with pytest.raises(BadInputError, match="0" * 64):
        store.get("0" * 64)
    assert not (tmp_path / "blobs").exists()


@pytest.mark.parametrize("digest", ["", "ab", "../" * 20 + "abcd", "A" * 64, "g" * 64, "0" * 64 + "\n"])
def test_what_is_no_digest_is_refused(tmp_path: Path, digest: str) -> None:
    """Only 64 lower-case hexadecimal digits name a blob, so that no digest is a path elsewhere."""
    with pytest.raises(BadInputError, match="is not a digest"):
        BlobStore(tmp_path).path(digest)
