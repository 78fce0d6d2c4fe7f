"""Resume a run: the same machine from the state of its journal, or an error that says what changed."""

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path

from attrs import evolve, frozen

from townlet.dto.journal import Entry, EnvironmentChecked, OperatorCommand, ProcessStarted, RunCreated
from townlet.dto.policy import AnnealSummary
from townlet.dto.schedule import Plan, ScheduleSpec
from townlet.errors import BadInputError, JournalBrokenError
from townlet.machine.audit.snapshot import first_record, load_run, schedule_in_force, schedules
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.engine.inbox import has_commands
from townlet.machine.journal.chain import Journal
from townlet.machine.journal.fold import fold
from townlet.machine.schedule.loader import ScheduleError, load_text
from townlet.machine.schedule.partial import Describe
from townlet.machine.schedule.rehearsal import shrink
from townlet.policy.training.environment_checks import check_promises, refuse_broken
from townlet.policy.training.fingerprint import changes, unrecorded
from townlet.policy.training.launch import RunLauncher, ScheduleSource, require_means
from townlet.ports import EnvironmentDescription
from townlet.store.blobs import BlobStore
from townlet.store.files import write_atomic
from townlet.store.rundir import RunDirectory

__all__ = ["RunResumer"]


@frozen(kw_only=True)
class RunResumer:
    """Resumes one run."""

    run: RunDirectory
    """Directory of the run."""
    config: ScheduleSpec | Path | ScheduleSource
    """The schedule, or its file, as the caller has it now."""
    accept: bool
    """True to take an edited schedule over."""
    describe: Describe
    """Returns the description of an environment."""
    catalogue: StrategyCatalogue
    """The strategies that the schedule may name."""
    launcher: Callable[[Plan, Path], RunLauncher]
    """Returns the launcher of a plan, whose files are looked for in a folder."""
    home: Path
    """The run's home."""

    @property
    def blobs(self) -> BlobStore:
        """Where the schedules in force are kept."""
        return BlobStore(self.home / "blobs")

    def resume(self) -> AnnealSummary:
        """Run on to the end or to a hold; a finished run is only summarised.

        Raises JournalBrokenError for a journal that does not hold, BadInputError for an edited schedule, another
        environment or a run of another home, HoldError where another process is at work.
        """
        self.run.require_home(self.home)
        with suppress(JournalBrokenError):  # another process may be writing; under the lock it is read again
            snapshot = load_run(self.run, self.blobs, self.catalogue)
            waits = snapshot.state.state == "failed" and has_commands(self.run.inbox)
            if snapshot.state.closed is not None and snapshot.is_clean and not waits:
                return self._run_on(Journal(self.run.journal, self.run.head, self.catalogue))
        with self.run.lock():
            journal = Journal(self.run.journal, self.run.head, self.catalogue)
            first_record(self.run, journal.entries)
            self._check_schedule(journal)
            return self._run_on(journal)

    def _run_on(self, journal: Journal) -> AnnealSummary:
        created = first_record(self.run, journal.entries)
        plan = self._plan_in_force(journal, created.seed)
        launcher = self.launcher(shrink(plan, self.catalogue) if created.rehearsal else plan, self.run.folder)
        state = fold(journal.entries, plan.schedule, self.catalogue)
        if state.closed is None or (state.state == "failed" and has_commands(self.run.inbox)):
            require_means(plan, self.catalogue)
            self._check_environment(launcher.environments.describe(plan.schedule.environment.scenario), created)
        process = _process(created, journal.entries)
        return launcher.resume(launcher.plan, self.run, journal, process)

    def _plan(self, text: bytes, seed: int | None = None) -> Plan:
        name, folder = str(self.run.schedule), self.run.folder
        return load_text(text, name, self.catalogue, self.describe, folder=folder, seed=seed, stored=True)

    def _plan_in_force(self, journal: Journal, seed: int) -> Plan:
        """Return the plan that the run follows; BadInputError where what it names is not here any more."""
        try:
            return self._plan(schedule_in_force(self.run, journal.entries, self.blobs), seed)
        except ScheduleError as error:
            raise BadInputError(
                f"{error}\nthe run follows this schedule, which was sound: what it names is not installed here, or was "
                "passed from Python; if it was passed, continue with: "
                f"townlet.resume({str(self.run.path.absolute())!r}, environment=…, teacher=…)"
            ) from error

    def _check_environment(self, description: EnvironmentDescription, created: RunCreated) -> None:
        if description.signature != created.environment:
            raise BadInputError(
                f"{self.run.path}: the run was made in environment {created.environment[:12]}, here it is "
                f"{description.signature[:12]}; their numbers cannot be compared, resume with the Townlet that began it"
            )

    def _check_schedule(self, journal: Journal) -> None:
        """Refuse an edited schedule with the difference, or take it over into the journal and the run's copy."""
        digests = schedules(journal.entries)
        before = schedule_in_force(self.run, journal.entries, self.blobs)
        copy = self.run.schedule.read_bytes() if self.run.schedule.is_file() else b""
        source = ScheduleSource.of(self.config)
        texts = {copy: str(self.run.schedule), source.text: source.name}
        edited = {text: where for text, where in texts.items() if sha256(text).hexdigest() not in digests}
        if not edited:
            if copy != before:
                write_atomic(self.run.schedule, before)
            return
        (after, where), *others = edited.items()
        if others:
            raise BadInputError(f"{where} and {others[0][1]} were edited, each in its own way; expected one edit")
        difference = _difference(before, after, where)
        if not self.accept:
            raise BadInputError(
                f"{where}: the schedule was edited since the run began; undo the edit, or take it over with "
                f"--accept-schedule\n{difference}"
            )
        created = first_record(self.run, journal.entries)
        old, new = (self._plan(text).schedule for text in (before, after))
        _check_same_machine(old, new, where)
        self._check_environment(self.describe(new.environment), created)
        plan = self._plan(after, created.seed)
        reports = check_promises(self.launcher(plan, self.run.folder).environments, new, earlier=old)
        refuse_broken(reports)
        digest = self.blobs.put(after)
        command = OperatorCommand(
            command="accept_schedule", actor="resume", reason=difference, arguments={"schedule": digest}
        )
        for report in reports:
            journal.append(EnvironmentChecked(report=report))
        journal.append(command)
        write_atomic(self.run.schedule, after)


def _process(created: RunCreated, entries: tuple[Entry, ...]) -> ProcessStarted:
    """Return the record of this process; exactness that an earlier process broke stays broken."""
    changed = changes(created.fingerprint)
    broken = bool(changed) or any(isinstance(e.record, ProcessStarted) and e.record.changed for e in entries)
    unseeded = any(isinstance(e.record, EnvironmentChecked) and not e.record.report.obeys_seed for e in entries)
    sound = "reset" if unseeded else "unknown" if unrecorded(created.fingerprint) else "exact"
    promise = "none" if broken else sound
    return ProcessStarted(pid=os.getpid(), host=socket.gethostname(), changed=changed, promise=promise)


def _difference(before: bytes, after: bytes, where: str) -> str:
    old, new = (text.decode("utf-8", "replace").splitlines() for text in (before, after))
    return "\n".join(unified_diff(old, new, "the run's schedule", where, lineterm="", n=1))


def _check_same_machine(old: ScheduleSpec, new: ScheduleSpec, where: str) -> None:
    """Refuse an edit of what the journal was written about."""

    def fixed(schedule: ScheduleSpec) -> dict[str, object]:
        return {
            "states": {name: state.strategy for name, state in schedule.states.items()},
            "initial": schedule.initial,
            "seed": schedule.seed,
            "environment": evolve(schedule.environment, workers=0, step_timeout=None),  # they change no number
        }

    before, after = fixed(old), fixed(new)
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        raise BadInputError(f"{where}: {', '.join(changed)} may not change within a run; start a new one instead")
