"""Whatever lies in an inbox, a run reads it, records it or leaves it, and goes on: bytes, links, pipes, sizes."""

import json
import os
from pathlib import Path
from shutil import rmtree

import pytest
from fakes import Bench
from hostile import WORDS, edited, fuzz, grafted, plain
from hypothesis import given
from hypothesis import strategies as st

from townlet.dto.journal import OperatorCommand
from townlet.machine.engine.inbox import has_commands
from townlet.machine.engine.operator_commands import open_commands

ORDER = {"command": "accept_risk", "actor": "ada", "reason": "r", "arguments": {"edge": "0"}, "sent": 1.0}
TEXT = json.dumps(ORDER).encode()
COMMANDS = ("approve", "reject", "accept_risk", "stop", "accept_schedule", "unreadable", "", "\0", "../abort")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A run that holds after a judged visit, where most commands fit."""
    bench = Bench(tmp_path_factory.mktemp("held"))
    bench.school.skill = {f"ppo {n}": 5.0 for n in range(1, 5)}
    assert "hold" == bench.walk().state
    return bench


def put(bench: Bench, data: bytes, number: int = 1) -> Path:
    """Leave a file under an order's name."""
    inbox = bench.home / "inbox"
    rmtree(inbox, ignore_errors=True)
    inbox.mkdir()
    path = inbox / f"{number:020d}-{'0' * 12}.json"
    path.write_bytes(data)
    return path


def read_into_the_journal(bench: Bench) -> OperatorCommand:
    """Let an engine read the inbox; return what its journal says of it."""
    engine = bench.engine()
    engine._read_inbox()
    record = bench.journal().entries[-1].record
    assert isinstance(record, OperatorCommand)
    assert not has_commands(bench.home / "inbox")
    return record


@fuzz
@given(
    data=st.binary(max_size=200)
    | st.sampled_from(WORDS)
    | edited(TEXT)
    | (plain | grafted(ORDER)).map(lambda value: json.dumps(value).encode()),
    number=st.integers(1, 10**19),
)
def test_a_command_of_any_bytes_is_recorded_and_taken_away(held: Bench, data: bytes, number: int) -> None:
    """As what it says, or as unreadable; the journal holds afterwards, and nothing is left that is read again."""
    before = held.path.read_bytes(), (held.home / "head.json").read_bytes()
    path = put(held, data, number)
    record = read_into_the_journal(held)
    assert path.name == record.id
    held.path.write_bytes(before[0])
    (held.home / "head.json").write_bytes(before[1])


@fuzz
@given(
    command=st.sampled_from(COMMANDS) | st.text(max_size=12),
    arguments=st.dictionaries(
        st.sampled_from(("edge", "report", "schedule", "")) | st.text(max_size=5),
        st.sampled_from(("-1", "99", "9" * 400, "²", "ten", "0 ")) | st.text(max_size=9),
    ),
    sent=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_command_that_fits_nothing_changes_nothing(
    held: Bench, command: str, arguments: dict[str, str], sent: float | None
) -> None:
    """What is no command, or names no edge and no question, is recorded as refused: the run stands where it stood."""
    if command in ("abort", "retry") or (
        command == "accept_risk" and arguments.get("edge", "") in ("0", "1", "2", "3")
    ):
        return
    before, state = (held.path.read_bytes(), (held.home / "head.json").read_bytes()), held.engine().state
    order = {"command": command, "actor": "eve", "arguments": arguments, "sent": sent}
    put(held, json.dumps(order).encode())
    assert read_into_the_journal(held).refused
    after = held.engine().state
    assert (state.state, state.pending_commands, state.schedule_sha256) == (
        after.state,
        after.pending_commands,
        after.schedule_sha256,
    )
    assert open_commands(state, held.plan.schedule) == open_commands(after, held.plan.schedule)
    held.path.write_bytes(before[0])
    (held.home / "head.json").write_bytes(before[1])


def _link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def _pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _huge(path: Path, _: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**33)  # a hole: it takes no disk, and reading it would take the memory


@pytest.mark.parametrize("make", [_link, _pipe, _huge])
def test_what_is_no_small_file_is_refused_unread(held: Bench, tmp_path: Path, make: object) -> None:
    """A link to an order elsewhere, a pipe that never answers, eight gigabytes: recorded as unreadable, taken away."""
    victim = tmp_path / "victim.json"
    victim.write_bytes(json.dumps({"command": "abort", "actor": "eve"}).encode())
    path = put(held, b"")
    path.unlink()
    assert callable(make)
    make(path, victim)
    record = read_into_the_journal(held)
    assert ("unreadable", True) == (record.command, bool(record.refused))
    assert not os.path.lexists(path)
    assert victim.exists()


def test_a_folder_under_an_orders_name_is_left_alone(held: Bench) -> None:
    """It can be no order, and a run that tried to take it away would never go on."""
    path = put(held, b"")
    path.unlink()
    path.mkdir()
    assert not has_commands(held.home / "inbox")
    assert "hold" == held.walk().state
    assert path.is_dir()
