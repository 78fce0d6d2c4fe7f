"""Manifests: paths stay where they belong, metrics find their sample, and nothing is skipped silently."""

import json
from pathlib import Path
from typing import Any

import pytest

from townlet.errors import BadInputError
from townlet.store.manifest import manifest_digest, read_manifest


def files(folder: Path, *names: str) -> None:
    """Create samples with their JSON; what is in them does not matter here."""
    for name in names:
        (folder / f"{name}.npz").write_bytes(name.encode())
        (folder / f"{name}.json").write_text("{}")


def manifest(folder: Path, document: Any, name: str = "manifest.json") -> Path:
    """Write a manifest and return its path."""
    path = folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_entries_are_words_or_mappings(tmp_path: Path) -> None:
    """A list, or a mapping with samples; JSON or YAML."""
    files(tmp_path, "a", "b")
    (tmp_path / "other.json").write_text("{}")
    plain = read_manifest(manifest(tmp_path, ["a.npz", {"sample": "b.npz", "meta": "other.json", "accepted": False}]))
    assert ["a.json", "other.json"] == [entry.meta.name for entry in plain]
    assert [True, False] == [entry.accepted for entry in plain]
    yaml = read_manifest(manifest(tmp_path, "samples:\n- a.npz\n- {sample: b.npz}\n", "m.yaml"))
    assert ["a.npz", "b.npz"] == [entry.sample.name for entry in yaml]


def test_the_manifests_directory_comes_before_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are looked at, in this order; an absolute path needs neither."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    files(here, "a", "b")
    files(there, "a")
    monkeypatch.chdir(here)
    found = read_manifest(manifest(there, ["a.npz", "b.npz", str(here / "a.npz")]))
    assert [there / "a.npz", Path("b.npz"), here / "a.npz"] == [entry.sample for entry in found]


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"sample": "a.npz", "metrics": {"x": 1}}, {"x": 1.0}),
        ({"sample": "a.npz", "metrics": "side.json"}, {"y": 2.0}),
        ({"sample": "a.npz", "metrics": "flat.json"}, {"z": 3.0}),
        ({"sample": "b.npz", "metrics": "side.json"}, None),
    ],
)
def test_metrics_come_flat_or_by_file_name(metrics: Any, expected: dict[str, float] | None, tmp_path: Path) -> None:
    """Inline, in a sidecar under samples, or flat for all."""
    files(tmp_path, "a", "b")
    (tmp_path / "side.json").write_text(json.dumps({"samples": {"a.npz": {"y": 2}}}))
    (tmp_path / "flat.json").write_text(json.dumps({"z": 3}))
    (entry,) = read_manifest(manifest(tmp_path, [metrics]))
    assert expected == entry.metrics


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "the manifest is empty"),
        ({"samples": []}, "the manifest is empty"),
        ({"sample": ["a.npz"]}, "expected a list, or a mapping with samples"),
        (["a.npz", "absent.npz"], "entry 2: 'absent.npz' is missing"),
        ([{"sample": "a.npz", "wieght": 1}], "entry 1: unknown key 'wieght'"),
        ([3], "entry 1: expected a path"),
        (["../outside.npz"], "leads outside"),
        ([{"sample": "a.npz", "meta": "absent.json"}], "'absent.json' is missing"),
        ([{"sample": "a.npz", "accepted": "no"}], "accepted is 'no'"),
        ([{"sample": "a.npz", "metrics": {"x": None}}], "'x' is None"),
        (["/nowhere/a.npz"], "/nowhere/a.npz is missing"),
        ('{"samples": [NaN]}', "NaN is no finite number"),
    ],
)
def test_a_wrong_entry_is_named(document: Any, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number, what was found, what was expected."""
    folder = tmp_path / "data"
    folder.mkdir()
    files(folder, "a")
    files(tmp_path, "outside")
    monkeypatch.chdir(folder)
    with pytest.raises(BadInputError) as refused:
        read_manifest(manifest(folder, document))
    assert complaint in str(refused.value)


def test_a_link_that_leads_outside_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A symbolic link is followed before it is judged."""
    folder = tmp_path / "data"
    folder.mkdir()
    files(tmp_path, "secret")
    (folder / "a.npz").symlink_to(tmp_path / "secret.npz")
    monkeypatch.chdir(folder)
    with pytest.raises(BadInputError, match="leads outside"):
        read_manifest(manifest(folder, ["a.npz"]))


def test_the_digest_covers_everything_that_is_named(tmp_path: Path) -> None:
    """A byte of a sample, of its JSON, a metric, or what is accepted: each changes it."""
    files(tmp_path, "a")
    first = manifest_digest(read_manifest(manifest(tmp_path, ["a.npz"])))
    seen = {first, manifest_digest(read_manifest(manifest(tmp_path, [{"sample": "a.npz", "accepted": False}])))}
    seen.add(manifest_digest(read_manifest(manifest(tmp_path, [{"sample": "a.npz", "metrics": {"x": 1}}]))))
    (tmp_path / "a.json").write_text("{} ")
    seen.add(manifest_digest(read_manifest(manifest(tmp_path, ["a.npz"]))))
    (tmp_path / "a.npz").write_bytes(b"b")
    seen.add(manifest_digest(read_manifest(manifest(tmp_path, ["a.npz"]))))
    assert 5 == len(seen)
