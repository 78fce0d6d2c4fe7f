"""How fast ppo is on this machine: rollouts and updates of a schedule's shapes, beside their matrix products alone.

Iterations, products and one large product take turns, so that a machine that drifts moves all of them. What is timed
is a visit in its middle, from fresh weights: both networks learn at the schedule's rate, every pass is made, and there
is no anchor, no demonstration loss and no cliff watch.
"""

from collections.abc import Iterator
from time import perf_counter
from typing import cast

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, RewardBreakdownDTO, StepResult
from townlet.dto.codec import Record
from townlet.dto.schedule import EnvironmentSpec, Plan
from townlet.dto.strategies import BCSpec, PPOSpec
from townlet.errors import BadInputError
from townlet.policy.model.device import choose_device, device_name, training_defaults
from townlet.policy.model.initialise import fresh_weights, with_normaliser
from townlet.policy.ppo.ramps import Ramp
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.training.bench_host import BenchHost, bench_host, clocks, peak_memory, sgemm_speed
from townlet.policy.training.bench_products import PPOShapes, product_seconds
from townlet.policy.training.strategies.base import require_device
from townlet.ports import Environment, EnvironmentDescription, EnvironmentProvider, EnvironmentWithTerms, Tallies, close

__all__ = ["PPOBench", "PPOSpeed", "bench", "bench_table", "ppo_options", "ppo_shapes"]

_WARM_UP, _LEAST_ROUNDS, _THREADS = 2, 3, 2
"""Iterations that are not timed; the fewest that are; threads of the learner's gradient."""
_RAMP = Ramp(actor=1.0, critic=1.0, anchor_kl=0.0, bc_weight=0.0)
_UNREACHABLE_KL, _MIB = 1.0e9, 2**20


@frozen(kw_only=True)
class PPOSpeed(Record):
    """The measurements by one clock; medians of the rounds."""

    samples: float
    """Agent-steps per second, from playing to the end of the update."""
    least: float
    """The same in the slowest round."""
    most: float
    """The same in the fastest round."""
    environment: float
    """Share of the time that the environment's steps and resets take."""
    acting: float
    """Share of the policy's actions and the buffers."""
    update: float
    """Share of the update."""
    gflops: float
    """GFLOP per second of the products that no PPO of these shapes can do without, done at this speed."""
    sgemm: float | None
    """GFLOP per second of one large product, on as many threads as the learner uses; none where a GPU learns."""
    of_sgemm: float | None
    """The former as a share of the latter."""
    products: float | None
    """Share of the time that those products take alone; none where a GPU learns."""


@frozen(kw_only=True)
class PPOBench(Record):
    """All measurements of one run."""

    schedule: str
    """Name of the schedule."""
    environment: str
    """Environment id and scenario."""
    device: str
    """Where the update was computed."""
    host: BenchHost
    """Machine and libraries."""
    threads: int
    """Threads of products and of the large product."""
    shapes: PPOShapes
    """Sizes of one iteration."""
    rounds: int
    """Iterations that were timed."""
    flops_per_sample: float
    """Floating-point operations of the products, per agent-step."""
    sgemm_of_one: float
    """GFLOP per second by the clock of one large product on one thread."""
    peak_memory: int | None
    """Bytes of memory that the process held at most, and its workers; none where the system does not say."""
    clock: PPOSpeed
    """Per second of the clock: what a user waits for on an idle machine."""
    processor: PPOSpeed
    """Per second of processor time, all threads together: what other programs hardly move."""


class _TimedEnvironment:
    """An environment whose steps and resets are timed."""

    def __init__(self, inner: Environment) -> None:
        self.inner, self.description, self.worlds = inner, inner.description, inner.worlds
        self.seconds = np.zeros(2)

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        began = clocks()
        observations = self.inner.reset(worlds)
        self.seconds += clocks() - began
        return observations

    def step(self, actions: Actions) -> StepResult:
        began = clocks()
        step = self.inner.step(actions)
        self.seconds += clocks() - began
        return step

    def breakdown(self) -> RewardBreakdownDTO:  # asked for only where the description declares terms
        return cast("EnvironmentWithTerms", self.inner).breakdown()

    def tallies(self) -> Tallies:
        return self.inner.tallies()

    def snapshot(self) -> bytes:
        return self.inner.snapshot()

    def restore(self, state: bytes) -> None:
        self.inner.restore(state)


def ppo_options(plan: Plan) -> PPOSpec:
    """Return the options of a schedule's first state with the strategy ppo; BadInputError where there is none.

    Where it does not start fresh, the networks have the widths of the schedule's clone.
    """
    clones = [options.hidden_sizes for options in plan.options.values() if isinstance(options, BCSpec)]
    for options in plan.options.values():
        if isinstance(options, PPOSpec):
            is_fresh = options.start_from == "fresh" or not clones
            return options if is_fresh else evolve(options, hidden_sizes=clones[0])
    raise BadInputError(f"schedule {plan.schedule.name}: no state has the strategy ppo; name one that trains")


def ppo_shapes(environment: EnvironmentSpec, description: EnvironmentDescription, options: PPOSpec) -> PPOShapes:
    """Return the sizes of an iteration; the minibatches are those of a rollout in which everybody lives."""
    rows = environment.worlds * description.agents * options.num_steps
    return PPOShapes(
        worlds=environment.worlds,
        agents=description.agents,
        features=len(description.features),
        outputs=len(description.actions.outputs),
        num_steps=options.num_steps,
        update_epochs=options.update_epochs,
        minibatch_size=max(1, rows // options.num_minibatches) if options.num_minibatches else options.minibatch_size,
        hidden_sizes=options.hidden_sizes,
    )


@frozen
class _Round:
    """Durations of one round: seconds [2] by the clock and of processor time."""

    environment: NDArray[np.float64]
    acting: NDArray[np.float64]
    update: NDArray[np.float64]
    products: NDArray[np.float64]
    sgemm: tuple[NDArray[np.float64], NDArray[np.float64]]
    """GFLOP per second of one large product on one thread, and of one on each thread."""


def bench(plan: Plan, environments: EnvironmentProvider, *, seconds: float = 20.0) -> PPOBench:
    """Measure iterations of a schedule's first ppo for about so many seconds, but three at least.

    BadInputError for a schedule without ppo, TorchNotAvailableError for a GPU without torch.
    """
    options, place = ppo_options(plan), plan.schedule.environment
    require_device("bench ppo", options.device)
    device, host, description = choose_device(options.device), bench_host(), environments.describe(place.scenario)
    shapes, threads = ppo_shapes(place, description, options), min(_THREADS, host.processors)
    length = description.episode_length(options.days, options.max_steps)
    seed = plan.schedule.seed
    worlds = environments.make(place.scenario, worlds=place.worlds, seed=seed, max_steps=length)
    rounds: list[_Round] = []
    try:
        with training_defaults(options.device):
            iterations = _iterations(worlds, options, length, seed)
            for _ in range(_WARM_UP):
                next(iterations)
            memory, ends = peak_memory(), perf_counter() + seconds
            while len(rounds) < _LEAST_ROUNDS or perf_counter() < ends:
                sgemm = sgemm_speed(1), sgemm_speed(threads)
                rounds.append(_Round(*next(iterations), product_seconds(shapes, threads), sgemm))
    finally:
        close(worlds)
    return PPOBench(
        schedule=plan.schedule.name,
        environment=f"{description.id}/{description.scenario}",
        device=device_name(device),
        host=host,
        threads=threads,
        shapes=shapes,
        rounds=len(rounds),
        flops_per_sample=shapes.flops_per_sample,
        sgemm_of_one=float(np.median([each.sgemm[0][0] for each in rounds])),
        peak_memory=memory,
        clock=_speed(shapes, rounds, clock=0, on_cpu=device.type == "cpu"),
        processor=_speed(shapes, rounds, clock=1, on_cpu=device.type == "cpu"),
    )


def _iterations(
    worlds: Environment, options: PPOSpec, length: int, seed: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]:
    """Make an iteration at a time; yield the seconds [2] of its environment, of its acting and of its update."""
    from townlet.policy.ppo.learner import Learner

    environment, rng = _TimedEnvironment(worlds), np.random.default_rng(seed)
    rollout = Rollout(environment, options.num_steps, length)
    weights = fresh_weights(environment.description, options.hidden_sizes, rng)
    rollout.collect(weights)
    weights = with_normaliser(weights, rollout.features[:-1][rollout.alive])
    gamma = environment.description.discount if options.gamma is None else options.gamma
    learner = Learner(weights, evolve(options, target_kl=_UNREACHABLE_KL), gamma, None)
    while True:
        environment.seconds[:] = 0
        began = clocks()
        rollout.collect(weights)
        played = clocks()
        learner.update(rollout, weights, _RAMP, rng)
        weights = learner.weights()
        ended = clocks()
        yield environment.seconds.copy(), played - began - environment.seconds, ended - played


def _speed(shapes: PPOShapes, rounds: list[_Round], *, clock: int, on_cpu: bool) -> PPOSpeed:
    """Return the measurements by one clock: 0 that of the wall, 1 processor time."""
    parts = np.array([(each.environment[clock], each.acting[clock], each.update[clock]) for each in rounds])
    seconds = parts.sum(1)
    samples, shares = shapes.rows / seconds, np.median(parts / seconds[:, None], axis=0)
    gflops = shapes.flops_per_sample * samples * 1e-9
    sgemm = np.array([each.sgemm[0 if clock else 1][clock] for each in rounds])  # of all threads, or of one's time
    products = np.array([each.products[clock] for each in rounds])
    return PPOSpeed(
        samples=float(np.median(samples)),
        least=float(samples.min()),
        most=float(samples.max()),
        environment=float(shares[0]),
        acting=float(shares[1]),
        update=float(shares[2]),
        gflops=float(np.median(gflops)),
        sgemm=float(np.median(sgemm)) if on_cpu else None,
        of_sgemm=float(np.median(gflops / sgemm)) if on_cpu else None,
        products=float(np.median(products / seconds)) if on_cpu else None,
    )


def bench_table(result: PPOBench) -> str:
    """Return the measurements as a table of text, a line for each, in both clocks."""
    shapes, both = result.shapes, (result.clock, result.processor)
    rows: list[tuple[str, str, str]] = [("per second of", "the clock", "processor time")]

    def add(name: str, form: str, values: tuple[float | None, float | None]) -> None:
        if None not in values:
            rows.append((name, format(values[0], form), format(values[1], form)))

    add("samples", ",.0f", (both[0].samples, both[1].samples))
    add("  in the slowest round", ",.0f", (both[0].least, both[1].least))
    add("  in the fastest round", ",.0f", (both[0].most, both[1].most))
    add("environment", ".0%", (both[0].environment, both[1].environment))
    add("acting", ".0%", (both[0].acting, both[1].acting))
    add("update", ".0%", (both[0].update, both[1].update))
    add("the products alone would take", ".0%", (both[0].products, both[1].products))
    add("GFLOP of products", ".1f", (both[0].gflops, both[1].gflops))
    add(f"GFLOP of a large product on {result.threads} threads, on one", ".1f", (both[0].sgemm, both[1].sgemm))
    add("  the former ÷ the latter", ".0%", (both[0].of_sgemm, both[1].of_sgemm))
    width = max(len(name) for name, *_ in rows)
    layers = "×".join(map(str, shapes.hidden_sizes))
    memory = "" if result.peak_memory is None else f"; at most {result.peak_memory / _MIB:,.0f} MiB of memory"
    return "\n".join(
        [
            f"ppo of {result.schedule} on {result.device}: {result.environment}, {shapes.worlds} worlds × "
            f"{shapes.agents} agents × {shapes.num_steps} decisions, {shapes.features} features, {shapes.outputs} "
            f"outputs, networks of {layers}, {shapes.update_epochs} passes in minibatches of {shapes.minibatch_size}",
            str(result.host),
            f"{result.rounds} rounds, medians; {result.flops_per_sample:,.0f} FLOP of products a sample{memory}",
            "",
            *(f"{name:<{width}}  {clock:>10}  {processor:>14}" for name, clock, processor in rows),
        ]
    )
