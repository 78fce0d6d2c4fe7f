"""anneal: the strategy made of strategies; it runs the machine."""

from collections.abc import Callable
from time import perf_counter

from attrs import field, frozen

from townlet.dto.journal import Entry, ProcessStarted
from townlet.dto.policy import AnnealSummary, TrainingResult
from townlet.machine.audit.environment_promises import environment_reservations
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.engine.engine import Engine
from townlet.machine.engine.visit import Visit, never
from townlet.machine.journal.chain import Journal
from townlet.policy.model.blas import one_thread
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.strategies.base import resolve
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory

__all__ = ["AnnealStrategy"]


def _nobody(entry: Entry) -> None:
    """Listen to nothing."""


@frozen(kw_only=True)
class AnnealStrategy:
    """Runs one strategy per state and lets the engine's guards choose the edges, until the run ends or holds."""

    name: str = "anneal"
    requires_torch: bool = False
    run_directory: RunDirectory
    """Directory of the run, created and locked."""
    journal: Journal
    """Its journal, open for writing."""
    registry: Registry
    """Where promote moves the alias."""
    catalogue: StrategyCatalogue
    """The strategies that the schedule may name."""
    process: ProcessStarted
    """The journal's record of this process."""
    stopping: Callable[[], bool] = field(default=never)
    """Returns True once the process is asked to stop."""
    listen: Callable[[Entry], None] = field(default=_nobody)
    """Called with every journal record once it is durable."""

    def prepare(self, context: TrainingContext) -> None:
        """Resolve every strategy the schedule names, so that a missing one is found before any work."""
        for state in context.schedule.states.values():
            resolve(state.strategy, self.catalogue)

    def run(self, context: TrainingContext) -> AnnealSummary:
        """Run from the state of the journal to the end, or to a hold."""
        started = perf_counter()
        engine = Engine(
            context.plan,
            self.journal,
            perform=lambda visit: self._perform(context, visit),
            registry=self.registry,
            blobs=context.blobs,
            catalogue=self.catalogue,
            metrics=context.description.metrics,
            traceback=self.run_directory.traceback,
            inbox=self.run_directory.inbox,
            process=self.process,
            stopping=self.stopping,
            metadata={
                "environment": context.description.id,
                "scenario": context.description.scenario,
                "signature": context.description.signature,
                "features": str(len(context.description.features)),
                "actions": str(len(context.description.actions.outputs)),
            },
            listen=self.listen,
        )
        end = engine.run()
        effects = {name for name, entry in self.catalogue.entries.items() if entry.effect}
        return AnnealSummary(
            weights=end.candidate,
            agent_steps=end.agent_steps,
            duration=perf_counter() - started,
            run=self.run_directory.id,
            path=str(self.run_directory.path),
            state=end.state,
            reason=end.reason,
            champion_moved=end.champion_moved,
            has_promote=any(state.strategy in effects for state in context.schedule.states.values()),
            stages=end.stages,
            head=self.journal.head,
            semantic_hash=self.journal.semantic,
            rehearsal=end.rehearsal,
            reservations=tuple(environment_reservations(self.journal.entries)),
        )

    def _perform(self, context: TrainingContext, visit: Visit) -> TrainingResult:
        strategy, visit_context = resolve(visit.strategy, self.catalogue), context.for_visit(visit)
        strategy.prepare(visit_context)
        with one_thread():  # the last bits of a product depend on the number of its threads
            return strategy.run(visit_context)
