"""Manifests of replay samples: list of files, their metrics, and whether training may use them."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import frozen

from townlet.errors import BadInputError
from townlet.store.files import create_private, make_directory, resource_errors, write_atomic
from townlet.store.path_text import local_path
from townlet.store.samples import ReplaySample, read_files, sample_files
from townlet.store.untrusted import finite_numbers, read_document, read_json

__all__ = [
    "CAPTURE_MANIFEST",
    "CAPTURE_METRICS",
    "ManifestEntry",
    "manifest_digest",
    "manifest_of",
    "read_manifest",
    "save_samples",
]

CAPTURE_MANIFEST = "rollout_sample_manifest.json"
"""File name of the manifest in a capture directory."""
CAPTURE_METRICS = "rollout_sample_metrics.json"
"""File name of the metrics beside it, by sample file."""
_KEYS = ("sample", "meta", "metrics", "accepted")


@frozen(kw_only=True)
class ManifestEntry:
    """One sample of a data set."""

    sample: Path
    """Path of the NPZ file."""
    meta: Path
    """Path of its JSON file."""
    metrics: Mapping[str, float] | None = None
    """Metrics in the manifest or its sidecar; None without any."""
    accepted: bool = True
    """False if training must not use the sample."""


def manifest_of(directory: Path) -> Path:
    """Return the path of a capture directory's manifest; BadInputError without one."""
    path = directory / CAPTURE_MANIFEST
    if not path.is_file():
        raise BadInputError(f"{directory}: not a capture directory (it has no {CAPTURE_MANIFEST})")
    return path


def read_manifest(path: Path) -> tuple[ManifestEntry, ...]:
    """Return the entries of a manifest; BadInputError naming the entry that is invalid or whose file is missing.

    A relative path is resolved in the manifest's directory, then in the working directory, and never outside both.
    """
    document = read_document(path)
    if isinstance(document, Mapping):
        extra = sorted(str(key) for key in document if key not in ("samples", "metrics"))
        if extra or "samples" not in document:
            raise BadInputError(
                f"{path}: expected a list, or a mapping with samples; found {', '.join(extra) or 'none'}"
            )
        entries, shared = document["samples"], document.get("metrics")
    else:
        entries, shared = document, None
    if not isinstance(entries, list) or not entries:
        raise BadInputError(f"{path}: the manifest is empty; expected a list of samples")
    default = path.parent / CAPTURE_METRICS
    sidecar = _sidecar(shared, f"{path}: metrics", path) if shared is not None else None
    if sidecar is None and default.is_file() and path.name == CAPTURE_MANIFEST:
        sidecar = _Sidecar(read_json(default), str(default))
    return tuple(_entry(entry, f"{path}: entry {index}", path, sidecar) for index, entry in enumerate(entries, start=1))


@frozen
class _Sidecar:
    """Metrics of samples: by file name under ``samples`` (or at the top level), or one flat mapping for all samples."""

    content: Mapping[str, Any]
    where: str

    def metrics_of(self, sample: Path) -> Mapping[str, float] | None:
        """Return the metrics of a sample; None if the sidecar does not list it."""
        by_name = self.content.get("samples", self.content)
        if not isinstance(by_name, Mapping):
            raise BadInputError(f"{self.where}: samples is no mapping by file name")
        if sample.name in by_name:
            return finite_numbers(by_name[sample.name], f"{self.where}: {sample.name}")
        if "samples" in self.content or any(isinstance(value, Mapping) for value in by_name.values()):
            return None
        return finite_numbers(by_name, self.where)


def _sidecar(value: Any, where: str, manifest: Path) -> _Sidecar:
    if isinstance(value, str):
        path = _resolve(value, where, manifest)
        return _Sidecar(read_json(path), str(path))
    if not isinstance(value, Mapping):
        raise BadInputError(f"{where}: expected numbers by name or the path of a JSON file, found {value!r}")
    return _Sidecar(value, where)


def _entry(entry: Any, where: str, manifest: Path, sidecar: _Sidecar | None) -> ManifestEntry:
    if isinstance(entry, str):
        entry = {"sample": entry}
    if not isinstance(entry, Mapping) or not isinstance(entry.get("sample"), str):
        raise BadInputError(f"{where}: expected a path, or a mapping with sample; found {entry!r}")
    extra = [key for key in entry if key not in _KEYS]
    if extra:
        raise BadInputError(f"{where}: unknown key {extra[0]!r}; expected {', '.join(_KEYS)}")
    accepted, meta = entry.get("accepted", True), entry.get("meta")
    if not isinstance(accepted, bool):
        raise BadInputError(f"{where}: accepted is {accepted!r}; expected true or false")
    sample = _resolve(entry["sample"], where, manifest)
    if meta is not None and not isinstance(meta, str):
        raise BadInputError(f"{where}: meta is {meta!r}; expected a path")
    json_path = sample.with_suffix(".json") if meta is None else _resolve(meta, where, manifest)
    if not json_path.is_file():
        raise BadInputError(f"{where}: {json_path} is missing; expected the JSON of {sample.name}")
    sidecar_metrics = (
        _sidecar(entry["metrics"], f"{where}: metrics", manifest) if entry.get("metrics") is not None else sidecar
    )
    return ManifestEntry(
        sample=sample,
        meta=json_path,
        metrics=sidecar_metrics.metrics_of(sample) if sidecar_metrics else None,
        accepted=accepted,
    )


def _resolve(name: str, where: str, manifest: Path) -> Path:
    path = local_path(name)
    if not name or "\0" in name:
        raise BadInputError(f"{where}: {name!r} is no path")
    if path.is_absolute():
        if not path.is_file():
            raise BadInputError(f"{where}: {path} is missing")
        return path
    outside = False
    for root in (manifest.parent, Path()):
        candidate = root / path
        if not candidate.resolve().is_relative_to(root.resolve()):
            outside = True
        elif candidate.is_file():
            return candidate
    if outside:
        raise BadInputError(f"{where}: {name!r} leads outside {manifest.parent} and the working directory")
    raise BadInputError(f"{where}: {name!r} is missing in {manifest.parent} and in the working directory")


def manifest_digest(entries: Sequence[ManifestEntry], digests: Iterable[bytes] | None = None) -> str:
    """Return the digest of a data set: over samples, their JSON files, metrics and `accepted`.

    `digests` are those of the entries' files where they have been read (`SampleFiles.digest`); else they are read.
    """
    total = sha256()
    of_files = (read_files(entry.sample, entry.meta).digest for entry in entries) if digests is None else digests
    for entry, digest in zip(entries, of_files, strict=True):
        total.update(digest)
        declared = [entry.accepted, dict(entry.metrics) if entry.metrics is not None else None]
        total.update(json.dumps(declared, sort_keys=True, allow_nan=False).encode())
    return total.hexdigest()


def save_samples(directory: Path, samples: Sequence[tuple[str, ReplaySample]]) -> Path:
    """Write samples by name into a capture directory and return the path of its manifest.

    The manifest is written last: a directory without one is no data set. BadInputError if the directory has a manifest.
    """
    make_directory(directory)
    manifest = directory / CAPTURE_MANIFEST
    if manifest.exists():
        raise BadInputError(f"{directory}: holds a capture already; name another directory, or empty it first")
    with resource_errors("write this capture", directory):
        for name, sample in samples:
            arrays, meta = sample_files(sample)
            _replace(directory / f"{name}.npz", arrays)
            _replace(directory / f"{name}.json", meta)
    metrics = {"samples": {f"{name}.npz": dict(sample.metrics) for name, sample in samples}}
    entries = [{"sample": f"{name}.npz", "meta": f"{name}.json"} for name, _ in samples]
    write_atomic(directory / CAPTURE_METRICS, json.dumps(metrics, indent=1, sort_keys=True).encode())
    write_atomic(manifest, json.dumps({"samples": entries}, indent=1).encode())
    return manifest


def _replace(path: Path, data: bytes) -> None:
    """Write a file for its owner alone, in place of what an earlier attempt left; it need not survive a crash."""
    path.unlink(missing_ok=True)
    with os.fdopen(create_private(path), "wb") as file:
        file.write(data)
