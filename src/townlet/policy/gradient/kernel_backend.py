"""The learner on the CPU: gradient and optimizer in kernels, a minibatch as two shards on two threads. No torch."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.policy.distributions.acting import ILLEGAL, LOG_ROOT_2PI
from townlet.policy.distributions.exponential import exponential_constants
from townlet.policy.gradient.adam_kernel import AdamNumbers, adam_step
from townlet.policy.gradient.batch import Batch, Demonstrations, LossOptions, Minibatch, StepOptions, Terms
from townlet.policy.gradient.kernel import Coefficients, Decisions, Examples, Losses, Parameters, add_gradient
from townlet.policy.gradient.layout import Layout, ParameterViews
from townlet.policy.model.blas import one_thread
from townlet.policy.model.forward import Layers
from townlet.policy.model.threads import both

__all__ = ["KernelBackend"]

Reals = NDArray[Any]

_SUMS = 8
_ADVANTAGE_EPSILON = 1.0e-8
"""Added to the standard deviation that advantages are divided by."""
_NORM_EPSILON = 1.0e-6
"""Added to the norm that the gradient is divided by."""
_POLICY, _IMITATION, _NOTHING = (True, False), (False, True), (False, False)


class KernelBackend:
    """Holds parameters, gradient and Adam's state in flat arrays; the split in shards is the same on any machine."""

    def __init__(
        self,
        actor: Layers,
        critic: Layers,
        log_std: Reals,
        actions: ActionSpec,
        options: LossOptions,
        block_rows: int,
        demonstrations: Demonstrations[Reals] | None = None,
    ) -> None:
        """Copy the weights, none of a trunk that is not trained; a block has `block_rows` rows."""
        self.options, self.block_rows = options, block_rows
        self._layout = layout = Layout(actor, critic, actions, block_rows)
        self._kind = layout.kind.type
        self._values, self._means, self._squares, *gradients = (layout.flat(layout.parameters) for _ in range(5))
        self._memories = [layout.memory() for _ in gradients]
        self._parameters = [Parameters(*layout.tables, self._values, gradient) for gradient in gradients]
        self._sums = [np.zeros(_SUMS) for _ in gradients]
        self._exp = exponential_constants(self._kind)
        self.parameters = layout.views(self._values)
        """Views of the parameters."""
        self.load(actor, critic, log_std)
        self._steps = [0, 0]
        self._captured = None if demonstrations is None else self._examples(*demonstrations)
        if self._captured is not None:
            self._check_options(self._captured.actions)
        self._norm, self._trains_actor = 0.0, False
        self.use(Batch.without_decisions(np.zeros((0, self._layout.features)), np.zeros(0)))

    def load(self, actor: Layers, critic: Layers, log_std: Reals) -> None:
        """Overwrite the parameters."""
        for mine, other in zip(self.parameters.each(), ParameterViews(actor, critic, log_std).each(), strict=True):
            mine[:] = other

    def layers(self) -> ParameterViews:
        """Return copies of the parameters."""
        actor, critic = (tuple((weight.copy(), bias.copy()) for weight, bias in trunk) for trunk in self.parameters[:2])
        return ParameterViews(actor, critic, self.parameters.log_std.copy())

    def scale_values(self, factor: float, shift: float) -> None:
        """Change the critic's last layer so that its output becomes factor·output + shift."""
        weight, bias = self.parameters.critic[-1]
        weight *= self._kind(factor)
        bias *= self._kind(factor)
        bias += self._kind(shift)

    def use(self, batch: Batch[Reals]) -> None:
        """Take the decisions that the next minibatches are rows of."""
        self._examples_of_batch = self._examples(batch.features, batch.action_mask, batch.actions)
        self._advantages = np.require(batch.advantages, self._kind)
        none = np.zeros((0, self._layout.actions.logits)), np.zeros((0, len(self._layout.actions.box)))
        numbers = (
            self._advantages.copy(),
            batch.old_log_probs,
            batch.targets,
            batch.old_values,
            none[0] if batch.anchor_log_probs is None else batch.anchor_log_probs,
            none[1] if batch.anchor_means is None else batch.anchor_means,
            none[1].sum(0) if batch.anchor_log_std is None else batch.anchor_log_std,
        )
        self._decisions = Decisions(*(_plain(each, self._kind) for each in numbers))

    def _examples(self, features: Reals, mask: Reals, actions: Reals) -> Examples:
        """Return arrays for the kernel, which looks at no bounds; ValueError for numbers that it would look beyond."""
        spec = self._layout.actions
        widths = (self._layout.features, spec.logits, spec.columns) if len(mask) else (self._layout.features,)
        found = tuple(each.shape[1] for each in (features, mask, actions)[: len(widths)])
        if len(features) and widths != found:
            raise ValueError(f"features, masks and actions: expected columns {widths}, found {found}")
        kind = self._kind if spec.box else np.int64
        return Examples(_plain(features, self._kind), _plain(mask, np.bool_), _plain(actions, kind))

    def _check_options(self, actions: Reals) -> None:
        """Raise ValueError for an option that no head has: the kernel would look beyond its array."""
        for column, head in enumerate(self._layout.actions.discrete if len(actions) else ()):
            least, most = int(actions[:, column].min()), int(actions[:, column].max())
            if least < 0 or most >= len(head.options):
                raise ValueError(f"actions: options from {least} to {most}; expected 0 to {len(head.options) - 1}")

    def gradient(self, minibatch: Minibatch, step: StepOptions) -> tuple[Terms[float], float, float]:
        """Compute the gradient; return the terms, the gradient's norm and the advantages' standard deviation.

        With `norm_adv`, Â ← (Â − mean(Â)) ÷ (std(Â) + 10⁻⁸) over the policy's rows of the minibatch.
        """
        rows, decisions = minibatch.policy_rows, self._decisions
        advantages, std = self._advantages[rows], self._kind(0)
        if len(rows):
            std = advantages.std(ddof=min(1, len(rows) - 1))
            if self.options.norm_adv:
                advantages = (advantages - advantages.mean()) / (std + self._kind(_ADVANTAGE_EPSILON))
        decisions.advantages[rows] = advantages
        self._trains_actor = (step.actor_rate > 0 and len(rows) > 0) or minibatch.imitations > 0
        if self._trains_actor:
            self._check_options(self._examples_of_batch.actions[minibatch.rows])
        jobs, coefficients = self._jobs(minibatch, step), self._coefficients(minibatch, step)
        with one_thread():
            both(*(partial(self._shard, index, jobs, coefficients) for index in range(len(self._memories))))
            total = self._parameters[0].gradient
            total += self._parameters[1].gradient
            self._norm = float(np.sqrt(np.dot(total, total)))
        return self._terms(minibatch, step), self._norm, float(std)

    def _jobs(self, minibatch: Minibatch, step: StepOptions) -> list[tuple[Examples, NDArray[np.int64], Losses]]:
        """Return examples, their rows and what they train; each job is divided into shards."""
        rows, policy_rows = minibatch.rows, minibatch.policy_rows
        batch, clips = self._examples_of_batch, self.options.vf_clip_coef is not None
        if step.actor_rate > 0 and len(policy_rows) == len(rows):
            jobs = [(batch, rows, Losses(*_POLICY, True, clips))]
        else:
            jobs = [(batch, rows, Losses(*_NOTHING, True, clips))]
            if step.actor_rate > 0:
                jobs.append((batch, policy_rows, Losses(*_POLICY, False, clips)))
        jobs.append((batch, minibatch.teacher_rows, Losses(*_IMITATION, False, clips)))
        if self._captured is not None:
            jobs.append((self._captured, minibatch.demonstrations, Losses(*_IMITATION, False, clips)))
        return [job for job in jobs if len(job[1])]

    def _shard(self, index: int, jobs: list[Any], coefficients: Coefficients) -> None:
        """Compute a shard's gradient and its sums."""
        memory, parameters, sums = self._memories[index], self._parameters[index], self._sums[index]
        parameters.gradient.fill(0)
        sums.fill(0)
        for examples, rows, losses in jobs:
            half = (len(rows) + 1) // 2
            part = rows[:half] if index == 0 else rows[half:]
            add_gradient(memory, parameters, examples, self._decisions, part, losses, coefficients, sums)

    def _coefficients(self, minibatch: Minibatch, step: StepOptions) -> Coefficients:
        spec, weight = self.options, 1 / max(len(minibatch.policy_rows), 1)
        numbers = (
            weight, spec.vf_coef / max(len(minibatch.rows), 1), step.imitation / max(minibatch.imitations, 1),
            spec.label_smoothing, spec.ent_coef * weight, step.anchor_kl * weight, 1 - spec.clip_coef,
            1 + spec.clip_coef, spec.clip_coef, spec.vf_clip_coef or 0, 0, 0.5, 1, ILLEGAL, LOG_ROOT_2PI,
        )  # fmt: skip
        return Coefficients._make((*map(self._kind, numbers), self._exp))

    def _terms(self, minibatch: Minibatch, step: StepOptions) -> Terms[float]:
        """Return the loss and its terms from the sums of both shards."""
        sums, spec = [float(one + other) for one, other in zip(*self._sums, strict=True)], self.options
        count = max(len(minibatch.policy_rows), 1)
        policy, approx_kl, clip_fraction, entropy, anchor_kl = (each / count for each in sums[:5])
        value, imitation = 0.5 * sums[5] / max(len(minibatch.rows), 1), sums[6] / max(minibatch.imitations, 1)
        total = policy - spec.ent_coef * entropy + step.anchor_kl * anchor_kl
        total += step.imitation * imitation + spec.vf_coef * value
        correct = sums[7] / max(minibatch.imitations * len(self._layout.actions.discrete), 1)
        return Terms(total, policy, value, entropy, approx_kl, clip_fraction, anchor_kl, imitation, correct)

    def gradients(self) -> list[Reals | None]:
        """Return the gradient by parameter, in torch's order; None where nothing trained the actor."""
        views = self._layout.views(self._parameters[0].gradient)
        actor = 2 * len(views.actor) + bool(views.log_std.size)
        return [each if self._trains_actor or i >= actor else None for i, each in enumerate(views.each())]

    def step(self, step: StepOptions) -> None:
        """Take Adam's step against the gradient, whose norm is clipped; the actor's where something trained it."""
        scale = min(1.0, self.options.max_grad_norm / (self._norm + _NORM_EPSILON))
        for group, rate in enumerate((step.actor_rate, step.critic_rate)):
            if (group == 0 and not self._trains_actor) or not len(self._layout.groups[group]):
                continue
            self._steps[group] += 1
            numbers = AdamNumbers.of_step(self._kind, self._steps[group], rate, scale)
            gradient, parts = self._parameters[0].gradient, self._layout.groups[group]
            adam_step(self._values, gradient, self._means, self._squares, parts, numbers)

    def adam_state(self) -> dict[str, Reals]:
        """Return Adam's state as `policy.model.adam` names it."""
        views = [self._layout.views(each) for each in (self._means, self._squares)]
        actor = 2 * len(views[0].actor) + bool(views[0].log_std.size)
        state: dict[str, Reals] = {}
        for index, (mean, square) in enumerate(zip(*(each.each() for each in views), strict=True)):
            step = self._steps[index >= actor]
            if step:
                names = {"step": np.array(step, np.float32), "exp_avg": mean.copy(), "exp_avg_sq": square.copy()}
                state |= {f"{index}.{name}": value for name, value in names.items()}
        return state

    def load_adam(self, state: Mapping[str, Reals]) -> None:
        """Go on from what `adam_state` returned."""
        views = [self._layout.views(each) for each in (self._means, self._squares)]
        actor = 2 * len(views[0].actor) + bool(views[0].log_std.size)
        self._steps = [int(state.get(f"{index}.step", 0)) for index in (0, actor)]
        for index, (mean, square) in enumerate(zip(*(each.each() for each in views), strict=True)):
            mean[:], square[:] = state.get(f"{index}.exp_avg", 0), state.get(f"{index}.exp_avg_sq", 0)


def _plain(values: Reals, kind: Any) -> Reals:
    """Return an array of one kind in one piece that may be written to: kernels are compiled for such ones only."""
    return np.require(values, kind, ("C", "W", "A"))
