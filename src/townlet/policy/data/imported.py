"""A data set from outside: its samples in memory or streamed, grouped by shape into batches, and summarised."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.samples import ConflictStatistics, ReplayBatchSummary, ReplaySampleSummary
from townlet.dto.strategies import DataSpec
from townlet.errors import BadInputError
from townlet.store.manifest import ManifestEntry, digest, read_manifest
from townlet.store.samples import ReplaySample, read_sample

__all__ = ["ReplayBatch", "ReplayDataset", "baseline_metrics", "data_spec", "entries_of", "open_dataset"]

_TOTALS = ("_sum", "_total")

Signature = tuple[tuple[tuple[int, ...], ...], tuple[str, ...]]


@frozen(kw_only=True, eq=False)
class ReplayBatch:
    """B samples of equal shapes, their features aligned by name."""

    samples: tuple[ReplaySample, ...]
    """In order."""
    feature_names: tuple[str, ...]
    """Of the F columns: the first sample's."""
    features: NDArray[np.float32]
    """[B, T, F]."""

    def summary(self, number: int) -> ReplayBatchSummary:
        """Return what the batch amounts to."""
        most = {name: self.features[..., self.feature_names.index(name)] for name in _RIVALRY}
        numbers = {f"{name}_mean": float(column.mean(dtype=np.float64)) for name, column in most.items()} | {
            f"{name}_max": float(column.max()) for name, column in most.items()
        }
        return ReplayBatchSummary(
            batch=number,
            batch_size=len(self.samples),
            feature_dim=len(self.feature_names),
            conflict=ConflictStatistics(**numbers),
        )


_RIVALRY = ("rivalry_max", "rivalry_avoid_count")


@frozen(kw_only=True, eq=False)
class ReplayDataset:
    """The samples of a manifest. Streamed, a sample is read whenever it is asked for; else all are held."""

    source: str
    """Manifest or sample it was read from."""
    digest: str
    """Over everything the data set names."""
    entries: tuple[ManifestEntry, ...]
    """In the order of the manifest."""
    held: tuple[ReplaySample, ...] | None
    """Every sample; none where they are streamed."""

    def sample(self, index: int) -> ReplaySample:
        """Return one sample, checked."""
        return self.held[index] if self.held is not None else _read(self.entries[index])

    def samples(self, *, accepted: bool = False) -> Iterator[ReplaySample]:
        """Yield the samples in order, or only the accepted ones."""
        for index, entry in enumerate(self.entries):
            if entry.accepted or not accepted:
                yield self.sample(index)

    def metrics(self, index: int, sample: ReplaySample) -> Mapping[str, float]:
        """Return what is said of a sample: by the manifest or its sidecar, else by its own JSON."""
        said = self.entries[index].metrics
        return sample.metrics if said is None else said

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
        """Yield batches of at most `size` samples of equal shapes; with `rng` each group is shuffled within itself."""
        groups: dict[Signature, list[int]] = {}
        for index, sample in enumerate(self.samples()):
            groups.setdefault((sample.shapes, tuple(sorted(sample.feature_names))), []).append(index)
        for members in groups.values():
            order = members if rng is None else [members[i] for i in rng.permutation(len(members))]
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                if len(chosen) == size or not drop_last:
                    yield _batch(tuple(self.sample(index) for index in chosen))

    def baseline(self) -> Mapping[str, float]:
        """Return the baseline metrics of the data set."""
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
    found: dict[str, float] = {"sample_count": float(len(rows))}
    for key in dict.fromkeys(key for row in rows for key in row):
        values = [row[key] for row in rows if key in row]
        if key.endswith(_TOTALS):
            found[key] = sum(values)
            found[f"{key}_mean"] = sum(values) / len(values)
        else:
            found[key] = sum(values) / len(values)
    return found


def entries_of(data: DataSpec) -> tuple[ManifestEntry, ...]:
    """Return the entries of a data set, every file found; BadInputError naming what is missing."""
    if data.manifest is not None:
        return read_manifest(Path(data.manifest))
    assert data.sample is not None, "a data set has a manifest or a sample"
    sample = Path(data.sample)
    meta = sample.with_suffix(".json") if data.meta is None else Path(data.meta)
    for path in (sample, meta):
        if not path.is_file():
            raise BadInputError(f"{path}: the sample needs this file, and it is missing")
    return (ManifestEntry(sample=sample, meta=meta),)


def data_spec(*, manifest: Path | None = None, sample: Path | None = None, meta: Path | None = None) -> DataSpec:
    """Return the spec of a data set as it is now, its paths absolute; BadInputError naming what is missing."""
    paths = {"manifest": manifest, "sample": sample, "meta": meta}
    words = {name: None if path is None else str(path.absolute()) for name, path in paths.items()}
    unpinned = DataSpec(**words, sha256="")
    return DataSpec(**words, sha256=digest(entries_of(unpinned)))


def open_dataset(data: DataSpec, *, streaming: bool = False) -> ReplayDataset:
    """Return a data set whose digest is the expected one; BadInputError for another, or for an unfit sample."""
    entries = entries_of(data)
    found, source = digest(entries), data.manifest or data.sample or ""
    if found != data.sha256:
        raise BadInputError(f"{source}: the data set has another digest: found {found}, expected {data.sha256}")
    held = None if streaming else tuple(_read(entry) for entry in entries)
    return ReplayDataset(source=source, digest=found, entries=entries, held=held)


def _read(entry: ManifestEntry) -> ReplaySample:
    return read_sample(entry.sample, entry.meta)
