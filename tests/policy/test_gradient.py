"""The hand-written gradient of PPO equals autograd's for every option of the loss, and its bits never vary."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from townlet.dto.actions import Actions, ActionSpec, BoxHead, DiscreteHead
from townlet.policy.gradient.batch import Batch, Demonstrations, LossOptions, Minibatch, StepOptions, Terms
from townlet.policy.gradient.kernel_backend import KernelBackend

torch = pytest.importorskip("torch")

from townlet.policy.distributions.autograd import ActionDistribution  # noqa: E402
from townlet.policy.gradient.torch_backend import TorchBackend  # noqa: E402
from townlet.policy.model.initialise import fresh_layers  # noqa: E402
from townlet.policy.model.threads import both  # noqa: E402
from townlet.policy.model.torch_network import ActorCritic  # noqa: E402

pytestmark = pytest.mark.torch

FEATURES, ROWS = 7, 60
ONE_CHOICE = ActionSpec.one_of(*"abcde")
HEADS = tuple(DiscreteHead(name=f"h{n}", options=tuple(f"o{i}" for i in range(n))) for n in (3, 5, 7))
BOXES = (BoxHead(name="x", low=-2.0, high=5.0), BoxHead(name="y"))
SPECS = [ONE_CHOICE, ActionSpec(discrete=HEADS), ActionSpec(box=BOXES), ActionSpec(discrete=HEADS, box=BOXES)]
STEP = StepOptions(actor_rate=1.0, critic_rate=1.0, anchor_kl=0.3, imitation=0.4)
KINDS = [np.float64, np.float32]


@frozen
class Case:
    """A minibatch, the network and the options of the loss."""

    actor: Any
    critic: Any
    log_std: Any
    actions: ActionSpec
    batch: Batch[Any]
    minibatch: Minibatch
    demos: Demonstrations[Any] | None
    step: StepOptions
    options: LossOptions
    block_rows: int = 32

    def backend(self, kind: type[TorchBackend] | type[KernelBackend]) -> Any:
        """Return a backend that has computed the gradient, and the terms."""
        weights = (self.actor, self.critic, self.log_std, self.actions, self.options)
        last = self.block_rows if kind is KernelBackend else torch.device("cpu")
        backend: Any = kind(*weights, last, self.demos)  # type: ignore[arg-type]
        backend.use(self.batch)
        return backend

    def backward(
        self, kind: type[TorchBackend] | type[KernelBackend]
    ) -> tuple[Terms[float], list[NDArray[Any] | None]]:
        """Return the terms and the gradient by parameter, None where the loss does not depend on it."""
        backend = self.backend(kind)
        terms, _, _ = backend.gradient(self.minibatch, self.step)
        return terms, [None if each is None else each.copy() for each in backend.gradients()]


def masks(rng: np.random.Generator, rows: int, actions: ActionSpec) -> NDArray[np.bool_]:
    """Return masks [rows, A] with an option everywhere, and one row that leaves no choice."""
    mask = rng.random((rows, actions.logits)) < 0.6
    for part in actions.segments(mask):
        part[:, 2] = True
        part[0] = np.arange(part.shape[1]) == 2
    return mask


def legal(rng: np.random.Generator, mask: NDArray[np.bool_], actions: ActionSpec) -> Actions:
    """Return an allowed action of each row."""
    chosen = rng.standard_normal((len(mask), actions.columns)).astype(actions.dtype)
    for column, part in enumerate(actions.segments(mask)):
        chosen[:, column] = np.where(part, rng.random(part.shape), -1).argmax(-1)
    return chosen


def case(
    seed: int,
    kind: type,
    rows: int = ROWS,
    teacher_share: float = 0.0,
    demos: int = 0,
    *,
    anchored: bool = True,
    actions: ActionSpec = ONE_CHOICE,
    **options: Any,
) -> Case:
    """Return a minibatch of random rows: many ratios are clipped, some advantages are 0, some rows are all zeros."""
    rng = np.random.default_rng(seed)

    def layers(outputs: int) -> Any:
        made = fresh_layers(rng, (FEATURES, 16, 8, outputs), 1.0)
        return tuple(
            (weight.astype(kind), rng.standard_normal(bias.shape).astype(kind) * (i == 2))
            for i, (weight, bias) in enumerate(made)
        )

    def numbers(*shape: int) -> NDArray[Any]:
        return rng.standard_normal(shape).astype(kind)

    total = rows + rows // 3
    features, mask = numbers(total, FEATURES), masks(rng, total, actions)
    features[::11] = 0  # ReLU at exactly 0
    actor, critic = layers(len(actions.outputs)), layers(1)
    log_std = (0.3 * rng.standard_normal(len(actions.box))).astype(kind)
    chosen = _of_kind(legal(rng, mask, actions), kind)
    with torch.no_grad():
        network, allowed = ActorCritic(actor, critic, log_std, actions), torch.from_numpy(mask)
        outputs = network.actor(torch.from_numpy(features))
        current = ActionDistribution.of_outputs(outputs, allowed, network.actor.log_std, actions)
        old = current.log_prob(torch.from_numpy(chosen)).numpy() + 0.3 * numbers(total)
        outputs = outputs + torch.from_numpy(numbers(total, len(actions.outputs)))
        parent = ActionDistribution.of_outputs(outputs, allowed, 0.5 * network.actor.log_std, actions)
    advantages = numbers(total)
    advantages[::7] = 0
    demo_mask = masks(rng, max(demos, 1), actions)
    by_teacher = rng.random(total) < teacher_share
    batch = Batch(
        features=features,
        action_mask=mask,
        actions=chosen,
        old_log_probs=old.astype(kind),
        advantages=advantages,
        targets=numbers(total),
        old_values=numbers(total),
        anchor_log_probs=torch.cat((*parent.log_p, outputs[:, :0]), -1).numpy() if anchored else None,
        anchor_means=parent.means.contiguous().numpy() if anchored else None,
        anchor_log_std=parent.log_std.numpy() if anchored else None,
        teacher_controlled=by_teacher if teacher_share else None,
    )
    subset, demonstrations = rng.permutation(total)[:rows], None
    if demos:
        demonstrations = Demonstrations(
            features=numbers(demos, FEATURES),
            action_mask=demo_mask,
            labels=_of_kind(legal(rng, demo_mask, actions), kind),
        )
    minibatch = Minibatch(
        rows=subset,
        policy_rows=subset[~by_teacher[subset]],
        demonstrations=rng.permutation(demos),
        teacher_rows=subset[by_teacher[subset]][::2] if demos else subset[:0],
    )
    return Case(
        actor,
        critic,
        log_std,
        actions,
        batch,
        minibatch,
        demonstrations,
        STEP,
        LossOptions(max_grad_norm=1e9, **options),
    )


def _of_kind(actions: NDArray[Any], kind: type) -> NDArray[Any]:
    """Return actions with numbers in a precision; options stay whole numbers."""
    return actions if actions.dtype == np.int64 else actions.astype(kind)


def assert_alike(example: Case, kind: type) -> None:
    """Compare both ways, to the rounding of the precision."""
    near = {"rel": 1e-9, "abs": 1e-11} if kind is np.float64 else {"rel": 1e-4, "abs": 2e-6}
    (terms, gradients), (ours, by_hand) = example.backward(TorchBackend), example.backward(KernelBackend)
    share = terms.clip_fraction  # torch's is in single precision, whatever the rest is
    assert share == pytest.approx(ours.clip_fraction, abs=1e-6)
    assert tuple(terms) == pytest.approx(tuple(ours._replace(clip_fraction=share)), **near)
    assert [each is None for each in gradients] == [each is None for each in by_hand]
    for expected, actual in zip(gradients, by_hand, strict=True):
        assert expected is None or expected == pytest.approx(actual, **near)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(
    actions=st.sampled_from(SPECS),
    seed=st.integers(0, 2**20),
    rows=st.integers(1, 70),
    teacher_share=st.sampled_from([0.0, 0.4, 1.0]),
    demos=st.sampled_from([0, 1, 2, 19]),
    anchored=st.booleans(),
    norm_adv=st.booleans(),
    vf_clip_coef=st.sampled_from([None, 0.2]),
    ent_coef=st.sampled_from([0.0, 0.01]),
    label_smoothing=st.sampled_from([0.0, 0.1]),
    actor=st.sampled_from([0.0, 1.0]),
)
def test_the_hand_written_gradient_equals_autograds(
    kind: type, seed: int, rows: int, teacher_share: float, demos: int, anchored: bool, actor: float, **options: Any
) -> None:
    """Every kind of head and option of the loss, two shards against one: equal terms and gradients, None alike."""
    example = case(seed, kind, rows, teacher_share, demos, anchored=anchored, **options)
    assert_alike(evolve(example, step=evolve(STEP, actor_rate=actor)), kind)


@pytest.mark.parametrize("block_rows", [1, 7, 30, 4096])
def test_a_gradient_in_blocks_is_the_gradient(block_rows: int) -> None:
    """Blocks that divide a shard of 30 rows, that do not, one that holds it, and one that has room for more."""
    assert_alike(evolve(case(6, np.float64, 60, 0.0, 19), block_rows=block_rows), np.float64)
    assert_alike(evolve(case(6, np.float64, 60, 0.4, 19), block_rows=block_rows), np.float64)


@pytest.mark.parametrize("actions", SPECS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_large_minibatch_has_equal_gradients(kind: type, actions: ActionSpec) -> None:
    """Thousands of rows, everything at once."""
    assert_alike(case(5, kind, 3000, 0.3, 700, actions=actions, vf_clip_coef=0.2), kind)


@pytest.mark.parametrize("actions", SPECS)
def test_the_gradient_equals_finite_differences(actions: ActionSpec) -> None:
    """(L(w + h) − L(w − h)) ÷ 2h, at every twentieth weight, of the kernels' own loss."""
    example = case(3, np.float64, 200, 0.2, 30, actions=actions)
    backend, step = example.backend(KernelBackend), 1e-6
    backend.gradient(example.minibatch, example.step)
    gradients = [each.copy() for each in backend.gradients()]
    for parameter, gradient in zip(backend.parameters.each(), gradients, strict=True):
        for place in list(np.ndindex(parameter.shape))[::20]:
            sides = []
            for side in (step, -step, 0.0):
                kept = parameter[place]
                parameter[place] = kept + side
                sides.append(backend.gradient(example.minibatch, example.step)[0].total)
                parameter[place] = kept
            slope = (sides[0] - sides[1]) / (2 * step)
            kink = abs(sides[0] + sides[1] - 2 * sides[2]) > 1e-10  # a clip or a ReLU lies between
            assert kink or slope == pytest.approx(float(gradient[place]), abs=1e-6)


@pytest.mark.parametrize(
    "field", ["features", "old_log_probs", "advantages", "targets", "anchor_log_probs", "anchor_means", "actions"]
)
def test_nan_in_any_input_reaches_the_total_or_the_gradient(field: str) -> None:
    """NaN in one row of the minibatch is enough."""
    example = case(1, np.float32, actions=ONE_CHOICE if field == "anchor_log_probs" else SPECS[2], norm_adv=False)
    getattr(example.batch, field)[example.minibatch.rows[7]] = float("nan")
    terms, gradients = example.backward(KernelBackend)
    assert not np.isfinite([terms.total, *(np.abs(each).sum() for each in gradients)]).all()


def bits(seed: int = 0) -> bytes:
    """Return terms and gradients of some cases."""
    cases = [case(seed, np.float32, 64), case(seed, np.float32, 31, 0.4, 9, vf_clip_coef=0.2)]
    cases += [case(seed, np.float32, 31, 0.4, 9, actions=actions) for actions in SPECS[1:]]
    results = [example.backward(KernelBackend) for example in cases]
    return b"".join(
        np.array(terms).tobytes() + b"".join(part.tobytes() for part in parts if part is not None)
        for terms, parts in results
    )


def test_parallel_and_sequential_shards_give_the_same_bits() -> None:
    """Two parallel runs and one sequential run agree bit for bit."""
    example = case(2, np.float32, 2000, demos=301)
    one, two = (example.backward(KernelBackend) for _ in range(2))
    inside, _ = both(lambda: example.backward(KernelBackend), lambda: None)  # shards in there use no second thread
    for other in (two, inside):
        assert one[0] == other[0]
        assert all(np.array_equal(a, b) for a, b in zip(one[1], other[1], strict=True))


def test_plain_python_computes_the_same_bits() -> None:
    """The kernels without numba's compiler."""
    run = "import sys, test_gradient; sys.stdout.write(test_gradient.bits().hex())"
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths}
    process = subprocess.run([sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=True)
    assert bits().hex() == process.stdout


@pytest.mark.parametrize("rows", [1, 2])
def test_a_minibatch_of_one_row_has_an_empty_shard(rows: int) -> None:
    """Fewer rows than shards."""
    assert_alike(case(4, np.float64, rows), np.float64)


def test_what_a_kernel_would_look_beyond_is_refused() -> None:
    """It knows no bounds: another number of features, an option that no head has."""
    example = case(4, np.float32, 9, demos=3)
    assert example.demos is not None
    wide = example.batch._replace(features=np.zeros((12, FEATURES + 1), np.float32))
    with pytest.raises(ValueError, match=r"expected columns \(7, 5, 1\), found \(8, 5, 1\)"):
        evolve(example, batch=wide).backend(KernelBackend)
    for option in (-1, 5):
        labels = example.demos.labels.copy()
        labels[1] = option
        with pytest.raises(ValueError, match="expected 0 to 4"):
            evolve(example, demos=example.demos._replace(labels=labels)).backend(KernelBackend)
