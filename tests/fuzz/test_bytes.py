"""Whatever bytes a file holds, the answer is a record or a refusal: weights, samples, journals, registries."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hostile import WORDS, answer, edited, fuzz, grafted, plain
from hypothesis import example, given
from hypothesis import strategies as st
from ridge_weights import ridge

from townlet.canonical import canonical_json
from townlet.dto.journal import ProcessStarted, RunCreated, TransitionTaken
from townlet.errors import TownletError
from townlet.machine.journal.chain import Journal, read
from townlet.policy.data.dataset import Dataset, DatasetMetadata, read_dataset
from townlet.policy.data.trajectories import read_trajectories
from townlet.policy.model.weights import Weights, read_weights
from townlet.policy.training.checkpoint import Checkpoint, read_checkpoint
from townlet.policy.training.strategies.base import catalogue
from townlet.store.arrays import read_arrays, write_arrays
from townlet.store.registry.registry import Registry
from townlet.store.samples import read_sample

WEIGHTS = ridge("straight")


def _dataset() -> bytes:
    metadata = DatasetMetadata(
        features=("a", "b"), actions=("x", "y"), environment="0" * 64, scenario="s", teacher="teacher:t", discount=0.9
    )
    shape = (3, 2, 1)
    return Dataset(
        metadata=metadata,
        observations=np.ones((*shape, 2), np.float32),
        action_mask=np.ones((*shape, 2), np.bool_),
        labels=np.zeros((*shape, 1), np.int16),
        alive=np.ones(shape, np.bool_),
        rewards=np.zeros(shape, np.float32),
        terminations=np.zeros(shape, np.bool_),
    ).to_bytes()


DATASET = _dataset()


def _header(data: bytes) -> tuple[object, bytes]:
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def _metadata(data: bytes) -> object:
    header, _ = _header(data)
    assert isinstance(header, dict)
    return json.loads(header["__metadata__"]["townlet"])


def _with_header(header: object, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


@fuzz
@given(st.binary(max_size=300) | st.sampled_from(WORDS) | edited(WEIGHTS))
@example((2**30).to_bytes(8, "little") + b"{}")
@example((2**64 - 1).to_bytes(8, "little") + b"{" * 100)
def test_weights_of_any_bytes_are_weights_or_a_refusal(data: bytes) -> None:
    """Lengths that lie, cut ends, changed numbers; never unpickled, never more memory than the file has."""
    found = answer(lambda: read_weights(data, "w"))
    assert isinstance(found, Weights | TownletError)


@fuzz
@given(grafted(_header(WEIGHTS)[0]), st.booleans())
def test_weights_with_any_header_are_weights_or_a_refusal(header: object, whole: bool) -> None:
    """Names, dtypes, shapes and offsets of any kind before true numbers."""
    body = _header(WEIGHTS)[1] if whole else b""
    answer(lambda: read_weights(_with_header(header, body), "w"))


@fuzz
@given(st.lists(st.floats(width=32), min_size=1, max_size=8), st.integers(0, 10_000))
def test_weights_of_any_numbers_are_weights_or_a_refusal(numbers: list[float], at: int) -> None:
    """NaN, infinities and numbers whose products overflow."""
    header, body = _header(WEIGHTS)
    start = at * 4 % len(body)
    put = np.array(numbers, np.float32).tobytes()
    answer(
        lambda: read_weights(_with_header(header, (body[:start] + put + body[start + len(put) :])[: len(body)]), "w")
    )


@fuzz
@given(st.binary(max_size=300) | st.sampled_from(WORDS) | edited(DATASET))
def test_a_data_set_of_any_bytes_is_one_or_a_refusal(data: bytes) -> None:
    """The reader of data sets and that of recorded play."""
    answer(lambda: read_dataset(data, "d"))
    answer(lambda: read_trajectories(data, "d"))


@fuzz
@given(grafted(_header(DATASET)[0]), st.booleans())
def test_a_data_set_with_any_header_is_one_or_a_refusal(header: object, whole: bool) -> None:
    """Headers of any kind before true numbers."""
    body = _header(DATASET)[1] if whole else b""
    answer(lambda: read_dataset(_with_header(header, body), "d"))
    answer(lambda: read_trajectories(_with_header(header, body), "d"))


CHECKPOINT = Checkpoint(
    strategy="ppo", step=2, points=2, facts={"agent_steps": 8}, arrays={"weights": np.ones(8, np.uint8)}
).to_bytes()


@fuzz
@given(st.binary(max_size=300) | st.sampled_from(WORDS) | edited(CHECKPOINT))
@example((2**40).to_bytes(8, "little") + b"{}")
def test_a_checkpoint_of_any_bytes_is_one_or_a_refusal(data: bytes) -> None:
    """What an open visit left behind is as hostile as any file until it is read."""
    assert isinstance(answer(lambda: read_checkpoint(data, "ppo", "c")), Checkpoint | TownletError)


@fuzz
@given(grafted(_header(CHECKPOINT)[0]), plain | grafted(_metadata(CHECKPOINT)), st.booleans())
def test_a_checkpoint_with_any_header_is_one_or_a_refusal(header: object, facts: object, whole: bool) -> None:
    """Tensors and facts of any kind before true numbers; facts of another record are refused where they are used."""
    body = _header(CHECKPOINT)[1] if whole else b""
    if isinstance(header, dict) and whole:
        header = {**header, "__metadata__": {"townlet": json.dumps(facts)}}
    found = answer(lambda: read_checkpoint(_with_header(header, body), "ppo", "c"))
    if isinstance(found, Checkpoint):
        answer(lambda: found.metadata_as(ProcessStarted))


NPZ = write_arrays({"features": np.ones((3, 2), np.float32), "actions": np.zeros(3, np.int64)})


def _npz(header: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        header = header[:65_000]
        archive.writestr("features.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    return file.getvalue()


@fuzz
@given(
    st.binary(max_size=300)
    | edited(NPZ)
    | st.builds(_npz, st.binary(max_size=80) | edited(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"))
)
@example(_npz(b"{'descr': ("))
@example(_npz(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }"))
@example(_npz(b"{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }"))
@example(_npz(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"))
@example(_npz(b"[" * 9000))
@example(_npz(b"{" * 999, zipfile.ZIP_LZMA).replace(b"\x5d\0", b"\xff\0"))
@example(_npz(b"{" * 999, zipfile.ZIP_BZIP2))
def test_a_sample_of_any_bytes_is_one_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """NPZ files with archives, headers and numbers of any kind; objects are never unpickled."""
    path = _folder(tmp_path_factory) / "s.npz"
    path.write_bytes(data)
    answer(lambda: read_arrays(path.read_bytes(), path))


@fuzz
@given(plain | grafted({"feature_names": ["a", "b"], "metrics": {"x": 1.0}, "action_lookup": {"wait": 0}}))
def test_a_sample_with_any_facts_is_one_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, facts: object) -> None:
    """The JSON beside the arrays."""
    folder = _folder(tmp_path_factory)
    (folder / "t.npz").write_bytes(NPZ)
    (folder / "t.json").write_text(json.dumps(facts))
    answer(lambda: read_sample(folder / "t.npz"))


def _journal(folder: Path) -> tuple[bytes, bytes]:
    journal = Journal(folder / "journal.jsonl", folder / "head.json", catalogue())
    journal.append(
        RunCreated(
            run="r", name="n", schedule="0" * 64, seed=1, rehearsal=False, environment="1" * 64, fingerprint={"a": "b"}
        )
    )
    journal.append(ProcessStarted(pid=1, host="h"))
    journal.append(TransitionTaken(source="a", target="b", edge=0, why="because"))
    return (folder / "journal.jsonl").read_bytes(), (folder / "head.json").read_bytes()


@fuzz
@given(st.data())
def test_a_journal_of_any_bytes_says_what_it_said_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """No edit passes for another history: the records that are read are the first of those that were written."""
    folder = tmp_path_factory.mktemp("journal")
    lines, head = _journal(folder)
    journal, anchor = folder / "journal.jsonl", folder / "head.json"
    written = read(journal, anchor, catalogue()).entries
    if data.draw(st.booleans()):
        journal.write_bytes(data.draw(edited(lines) | st.binary(max_size=200)))
    else:
        anchor.write_bytes(data.draw(edited(head) | st.binary(max_size=200) | st.just(b"[" * 100_000)))
    found = answer(lambda: read(journal, anchor, catalogue()).entries)
    assert isinstance(found, TownletError) or found == written[: len(found)]  # type: ignore[arg-type]


@fuzz
@given(
    grafted(
        json.loads(
            canonical_json(
                {
                    "at": "2026-01-01T00:00:00+00:00",
                    "body": {"pid": 1, "host": "h"},
                    "kind": "process_started",
                    "seq": 0,
                    "previous": "0" * 64,
                    "v": 1,
                }
            )
        )
    )
)
def test_a_line_with_a_true_hash_and_any_content_is_a_record_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, line: object
) -> None:
    """Whoever owns the file can compute hashes; what they write still has to be a record."""
    from hashlib import sha256

    folder = _folder(tmp_path_factory)
    try:
        whole = {**line, "hash": sha256(canonical_json(line)).hexdigest()} if isinstance(line, dict) else line
        text = canonical_json(whole)
    except ValueError:
        return  # NaN and infinities cannot even be written
    (folder / "line.jsonl").write_bytes(text + b"\n")
    answer(lambda: read(folder / "line.jsonl", folder / "no-head.json", catalogue()))


def _registry(folder: Path) -> Registry:
    registry = Registry(folder / "registry.sqlite", patience=0.01)
    expected = None
    for target in ("w1", "w2"):
        registry.promote(
            "town",
            "champion",
            target=target,
            expected=expected,
            evidence=None,
            run=target,
            head="h",
            metadata={"a": "b"},
        )
        expected = target
    return registry


@fuzz
@given(st.data())
def test_a_registry_of_any_bytes_says_what_it_said_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """The database and its ledger watch each other: no edit of one of them changes who is champion."""
    folder = tmp_path_factory.mktemp("registry")
    registry = _registry(folder)
    path = data.draw(st.sampled_from((registry.path, registry.ledger.path)))
    before, whole = registry.champion("town", "champion"), path.read_bytes()
    path.write_bytes(data.draw(edited(whole) | st.binary(max_size=200)))
    found = answer(lambda: registry.champion("town", "champion"))
    answer(registry.history)
    answer(registry.versions)
    answer(lambda: registry.rollback("town", "champion", actor="a", reason="r"))
    answer(registry.recover_history)
    assert isinstance(found, TownletError) or found == before or path == registry.ledger.path


def _folder(factory: pytest.TempPathFactory) -> Path:
    folder = factory.getbasetemp() / "hostile-bytes"
    folder.mkdir(exist_ok=True)
    return folder
