"""A process may die after any record; the next one goes on and the run ends as if nothing had happened."""

from contextlib import suppress
from pathlib import Path

import pytest
from attrs import field, frozen
from fakes import Bench
from plans import CATALOGUE

from townlet.dto.journal import EffectDone, EffectIntent, Entry, GuardsJudged, OperatorCommand, ProcessStarted
from townlet.dto.registry import Version
from townlet.machine.audit.registry_rebuild import read_promotions
from townlet.machine.engine.inbox import send
from townlet.machine.journal.fold import advance, fold
from townlet.machine.journal.run_state import RunState
from townlet.store.registry.registry import Registry


class Killed(BaseException):
    """The process is gone; nothing may catch it."""


def _eventful(home: Path) -> Bench:
    """A run with a rollback, an accepted round and a promotion, some 50 records long."""
    bench = Bench(home)
    bench.school.skill = {"ppo 1": 5.0, "ppo 2": 10.0}
    return bench


def _killed_after(bench: Bench, seq: int) -> None:
    def listen(entry: Entry) -> None:
        if entry.seq == seq:
            raise Killed

    with pytest.raises(Killed):
        bench.engine(listen).run()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The run nobody disturbed."""
    bench = _eventful(tmp_path_factory.mktemp("undisturbed"))
    bench.walk()
    return bench


RECORDS = 55


def test_the_eventful_run_is_eventful(undisturbed: Bench) -> None:
    """Else the other tests of this file would say little."""
    assert [
        "capture",
        "bc",
        "ppo",
        "evaluate",
        "rollback",
        "ppo",
        "evaluate",
        "ppo",
        "evaluate",
        "promote",
        "done",
    ] == undisturbed.path_taken()
    assert RECORDS == len(undisturbed.journal().entries)


@pytest.mark.parametrize("seq", range(1, RECORDS))
def test_a_run_cut_after_any_record_ends_the_same(tmp_path: Path, undisturbed: Bench, seq: int) -> None:
    """Same path, same weights, same semantic hash, one promotion."""
    bench = _eventful(tmp_path)
    _killed_after(bench, seq)
    state = bench.walk()
    assert undisturbed.journal().semantic == bench.journal().semantic
    assert undisturbed.path_taken() == bench.path_taken()
    assert ("done", True) == (state.state, state.champion_moved)
    assert 1 == len(bench.registry.history())
    assert 1 == len([entry for entry in bench.journal().entries if isinstance(entry.record, EffectDone)])


def test_a_run_killed_after_every_single_record_ends_the_same(tmp_path: Path, undisturbed: Bench) -> None:
    """Every process notes itself, starts the visit (again) and gets one record further."""
    bench = _eventful(tmp_path)
    for _ in range(RECORDS):
        dies_at = len(bench.journal().entries) + 2

        def listen(entry: Entry, dies_at: int = dies_at) -> None:
            if entry.seq == dies_at:
                raise Killed

        with suppress(Killed):
            bench.engine(listen).run()
    assert undisturbed.journal().semantic == bench.journal().semantic


@pytest.mark.parametrize("seq", range(2, RECORDS, 7))
def test_a_line_that_outlived_its_head_is_counted(tmp_path: Path, undisturbed: Bench, seq: int) -> None:
    """The process died between the line and the head."""
    bench = _eventful(tmp_path)
    _killed_after(bench, seq - 1)
    head = (tmp_path / "head.json").read_bytes()
    lines = bench.path.read_bytes().splitlines(keepends=True)
    assert seq == len(lines)
    bench.journal().append(ProcessStarted(pid=1, host="here"))
    (tmp_path / "head.json").write_bytes(head)
    bench.walk()
    assert undisturbed.journal().semantic == bench.journal().semantic


@pytest.mark.parametrize("seq", range(2, RECORDS, 7))
def test_half_a_line_is_done_again(tmp_path: Path, undisturbed: Bench, seq: int) -> None:
    """The process died within an append; the record is written anew by the next."""
    bench = _eventful(tmp_path)
    _killed_after(bench, seq)
    with bench.path.open("ab") as file:
        file.write(b'{"at":"2026-11-01T00:00:00+00:00","bo')
    bench.walk()
    assert "recovered" in bench.kinds()
    assert undisturbed.journal().semantic == bench.journal().semantic


@frozen
class DyingRegistry(Registry):
    """Moves the alias and takes the process down before it can say so."""

    calls: list[str] = field(factory=list, kw_only=True)

    def promote(self, *args: object, **kwargs: object) -> Version:
        """Promote, then die the first time."""
        version = super().promote(*args, **kwargs)  # type: ignore[arg-type]
        self.calls.append(version.weights)
        if len(self.calls) == 1:
            raise Killed
        return version


def test_an_alias_that_moved_before_its_record_moves_once(tmp_path: Path, undisturbed: Bench) -> None:
    """Compare-and-set finds out; done is appended once."""
    bench = _eventful(tmp_path)
    bench.registry = DyingRegistry(tmp_path / "registry.sqlite")
    with pytest.raises(Killed):
        bench.walk()
    assert "effect_intent" == bench.kinds()[-1]
    assert "done" == bench.walk().state
    assert 1 == bench.kinds().count("effect_intent") == bench.kinds().count("effect_done")
    assert 1 == len(bench.registry.history())
    assert undisturbed.journal().semantic == bench.journal().semantic


def test_an_alias_that_moved_before_its_record_is_told_where_the_run_is_aborted(tmp_path: Path) -> None:
    """The abort journals the move that was made; nothing is left that a rebuild or a rival could misread."""
    bench = _eventful(tmp_path)
    bench.registry = DyingRegistry(tmp_path / "registry.sqlite")
    with pytest.raises(Killed):
        bench.walk()
    (tmp_path / "inbox").mkdir(exist_ok=True)
    send(tmp_path / "inbox", OperatorCommand(command="abort", actor="ada"))
    state = bench.walk()
    assert ("aborted", True) == (state.state, state.champion_moved)
    assert 1 == bench.kinds().count("effect_done")
    (promotion,) = read_promotions(bench.journal().entries, CATALOGUE)
    assert promotion.done is not None


def test_an_intent_that_was_left_without_a_move_is_no_promotion(tmp_path: Path) -> None:
    """A lost race leaves an intent; a rebuild does not wait for it."""
    bench = _eventful(tmp_path)

    def rival(entry: Entry) -> None:
        if isinstance(entry.record, EffectIntent):
            bench.registry.promote(
                "fake-town",
                "champion",
                target="9" * 64,
                expected=None,
                evidence=None,
                run="rival",
                head="h",
                metadata={},
            )

    state = bench.engine(rival).run()
    assert ("hold", True) == (state.state, "champion moved" in state.reason)
    assert () == read_promotions(bench.journal().entries, CATALOGUE)


def test_recorded_verdicts_are_used_and_never_judged_again(tmp_path: Path) -> None:
    """A process dies between guards and transition; the evidence is gone meanwhile, and the walk goes on."""
    bench = Bench(tmp_path)

    def listen(entry: Entry) -> None:
        if isinstance(entry.record, GuardsJudged) and entry.record.state == "evaluate":
            raise Killed

    with pytest.raises(Killed):
        bench.engine(listen).run()
    evidence = bench.engine().state.evidence
    assert evidence is not None
    bench.school.blobs.path(evidence).unlink()
    assert "done" == bench.walk().state


def test_the_fold_of_a_journal_is_the_sum_of_its_records(undisturbed: Bench) -> None:
    """One record at a time or all at once."""
    schedule, entries = undisturbed.plan.schedule, undisturbed.journal().entries
    state = RunState(state=schedule.initial)
    for entry in entries:
        state = advance(state, entry, schedule, CATALOGUE)
    assert state == fold(entries, schedule, CATALOGUE) == undisturbed.engine().state
