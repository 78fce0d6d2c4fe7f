"""Imported data sets of replay samples: in memory or streamed, in batches of equal shapes, with summaries."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.samples import ConflictStatistics, ReplayBatchSummary, ReplaySampleSummary
from townlet.dto.strategies import DataSpec
from townlet.errors import BadInputError
from townlet.store.manifest import ManifestEntry, manifest_digest, read_manifest
from townlet.store.path_text import local_path, stored_text
from townlet.store.samples import ReplaySample, read_files

__all__ = ["ReplayBatch", "ReplayDataset", "baseline_metrics", "data_spec", "manifest_entries", "open_dataset"]

_TOTAL_SUFFIXES = ("_sum", "_total")
"""Endings of metric names whose baseline is a total."""
_RIVALRY = ("rivalry_max", "rivalry_avoid_count")
"""Features of the conflict statistics."""

Signature = tuple[tuple[tuple[int, ...], ...], tuple[str, ...]]
"""Array shapes and sorted feature names of a sample; samples of one batch have the same."""


@frozen(kw_only=True, eq=False)
class ReplayBatch:
    """B samples of equal shapes, with features in the same order."""

    samples: tuple[ReplaySample, ...]
    """B samples."""
    feature_names: tuple[str, ...]
    """Names of the F columns, in the order of the first sample."""
    features: NDArray[np.float32]
    """[B, T, F]."""

    def summary(self, number: int) -> ReplayBatchSummary:
        """Return sizes and conflict statistics of the batch with this number."""
        columns = {name: self.features[..., self.feature_names.index(name)] for name in _RIVALRY}
        statistics = {f"{name}_mean": float(column.mean(dtype=np.float64)) for name, column in columns.items()} | {
            f"{name}_max": float(column.max()) for name, column in columns.items()
        }
        return ReplayBatchSummary(
            batch=number,
            batch_size=len(self.samples),
            feature_dim=len(self.feature_names),
            conflict=ConflictStatistics(**statistics),
        )


@frozen(kw_only=True, eq=False)
class ReplayDataset:
    """Samples of a manifest: all in memory, or, streamed, each read from disk at every access."""

    source: str
    """Path of the manifest or sample."""
    digest: str
    """Digest over all files and metrics that the data set names."""
    entries: tuple[ManifestEntry, ...]
    """Entries, in the order of the manifest."""
    file_digests: tuple[bytes, ...]
    """Digests of the files of each entry, which every later reading must match."""
    loaded: tuple[ReplaySample, ...] | None
    """All samples in memory; None if they are streamed."""

    def sample(self, index: int) -> ReplaySample:
        """Return the sample at `index`; BadInputError if its file is invalid, or changed since the set was opened."""
        if self.loaded is not None:
            return self.loaded[index]
        files = read_files(self.entries[index].sample, self.entries[index].meta)
        if files.digest != self.file_digests[index]:
            raise BadInputError(f"{files.path}: changed since the data set was opened; leave its files as they are")
        return files.parse()

    def samples(self, *, accepted: bool = False) -> Iterator[ReplaySample]:
        """Yield the samples in order, or only the accepted ones."""
        for index, entry in enumerate(self.entries):
            if entry.accepted or not accepted:
                yield self.sample(index)

    def metrics(self, index: int, sample: ReplaySample) -> Mapping[str, float]:
        """Return the metrics of a sample: those of the manifest or its sidecar if given, else those of its own JSON."""
        declared = self.entries[index].metrics
        return sample.metrics if declared is None else declared

    def summaries(self) -> tuple[ReplaySampleSummary, ...]:
        """Return one line per sample."""
        return tuple(
            ReplaySampleSummary(
                sample=entry.sample.name,
                agent_id=sample.agent_id,
                timesteps=sample.timesteps,
                feature_dim=len(sample.feature_names),
                accepted=entry.accepted,
                metrics=self.metrics(index, sample),
            )
            for index, (entry, sample) in enumerate(zip(self.entries, self.samples(), strict=True))
        )

    def batches(
        self, size: int, *, rng: np.random.Generator | None = None, drop_last: bool = False
    ) -> Iterator[ReplayBatch]:
        """Yield batches of at most `size` samples of equal shapes; `rng` shuffles the samples of each shape."""
        groups: dict[Signature, list[int]] = {}
        for index, sample in enumerate(self.samples()):
            groups.setdefault((sample.shapes, tuple(sorted(sample.feature_names))), []).append(index)
        for members in groups.values():
            order = members if rng is None else [members[i] for i in rng.permutation(len(members))]
            for start in range(0, len(order), size):
                indices = order[start : start + size]
                if len(indices) == size or not drop_last:
                    yield _batch(tuple(self.sample(index) for index in indices))

    def baseline(self) -> Mapping[str, float]:
        """Return the baseline metrics of the data set; see `baseline_metrics`."""
        rows = []
        for index, sample in enumerate(self.samples()):
            derived = {
                "reward_sum": float(sample.rewards.sum(dtype=np.float64)),
                "reward_mean": float(sample.rewards.mean(dtype=np.float64)),
                "log_prob_mean": float(sample.old_log_probs.mean(dtype=np.float64)),
            }
            rows.append(derived | dict(self.metrics(index, sample)))
        return baseline_metrics(rows)


def _batch(samples: tuple[ReplaySample, ...]) -> ReplayBatch:
    names = samples[0].feature_names
    aligned = [sample.features[:, [sample.feature_names.index(name) for name in names]] for sample in samples]
    return ReplayBatch(samples=samples, feature_names=names, features=np.stack(aligned))


def baseline_metrics(rows: list[dict[str, float]]) -> Mapping[str, float]:
    """Return ``sample_count``; for keys ending in _sum or _total the total and ``KEY_mean``; for others the mean.

    >>> baseline_metrics([{"reward_sum": 1.0, "x": 2.0}, {"reward_sum": 3.0}])
    {'sample_count': 2.0, 'reward_sum': 4.0, 'reward_sum_mean': 2.0, 'x': 2.0}
    """
    metrics: dict[str, float] = {"sample_count": float(len(rows))}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row[key] for row in rows if key in row]
        if key.endswith(_TOTAL_SUFFIXES):
            metrics[key] = sum(values)
            metrics[f"{key}_mean"] = sum(values) / len(values)
        else:
            metrics[key] = sum(values) / len(values)
    return metrics


def manifest_entries(data: DataSpec) -> tuple[ManifestEntry, ...]:
    """Return the entries of a data set; BadInputError naming the file that is missing."""
    if data.manifest is not None:
        return read_manifest(local_path(data.manifest))
    assert data.sample is not None, "a data set has a manifest or a sample"
    sample = local_path(data.sample)
    meta = sample.with_suffix(".json") if data.meta is None else local_path(data.meta)
    for path in (sample, meta):
        if not path.is_file():
            raise BadInputError(f"{path}: the sample needs this file, and it is missing")
    return (ManifestEntry(sample=sample, meta=meta),)


def data_spec(*, manifest: Path | None = None, sample: Path | None = None, meta: Path | None = None) -> DataSpec:
    """Return the spec of a data set with absolute paths and its current digest; BadInputError if a file is missing."""
    paths = {"manifest": manifest, "sample": sample, "meta": meta}
    absolute = {name: None if path is None else stored_text(path.absolute()) for name, path in paths.items()}
    unpinned = DataSpec(**absolute, sha256="")
    return DataSpec(**absolute, sha256=manifest_digest(manifest_entries(unpinned)))


def open_dataset(data: DataSpec, *, streaming: bool = False) -> ReplayDataset:
    """Return a data set; BadInputError if its digest differs from `data.sha256`, or if a sample is invalid."""
    entries, source = manifest_entries(data), data.manifest or data.sample or ""
    files, digests = [], []
    for entry in entries:
        content = read_files(entry.sample, entry.meta)
        digests.append(content.digest)
        files += [] if streaming else [content]
    digest = manifest_digest(entries, digests)
    if digest != data.sha256:
        raise BadInputError(f"{source}: the data set has another digest: found {digest}, expected {data.sha256}")
    loaded = None if streaming else tuple(content.parse() for content in files)
    return ReplayDataset(source=source, digest=digest, entries=entries, file_digests=tuple(digests), loaded=loaded)
