"""The learner in torch: for a GPU, and the reference of the tests."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from townlet.dto.actions import ActionSpec
from townlet.policy.gradient.batch import Batch, Demonstrations, LossOptions, Minibatch, StepOptions, Terms
from townlet.policy.gradient.layout import ParameterViews
from townlet.policy.gradient.objective import autograd_gradient
from townlet.policy.model.adam import Adam
from townlet.policy.model.forward import Layers
from townlet.policy.model.torch_network import ActorCritic, to_device

__all__ = ["TorchBackend"]

Reals = NDArray[Any]


class TorchBackend:
    """Differentiates `policy.gradient.objective` by autograd; on the CPU it is slower than kernels."""

    block_rows = 0

    def __init__(
        self,
        actor: Layers,
        critic: Layers,
        log_std: Reals,
        actions: ActionSpec,
        options: LossOptions,
        device: torch.device,
        demonstrations: Demonstrations[Reals] | None = None,
    ) -> None:
        """Copy the weights to the device."""
        self.options, self.device = options, device
        self.network = ActorCritic(actor, critic, log_std, actions).to(device)
        if options.compiled and device.type == "cuda":
            for trunk in (self.network.actor, self.network.critic):
                trunk.compile(mode="reduce-overhead")
        self.optimizer = Adam(list(self.network.actor.parameters()), list(self.network.critic.parameters()))
        self._captured = None if demonstrations is None else self._demonstrations(*demonstrations)
        self.use(Batch.without_decisions(np.zeros((0, 0), np.float32), np.zeros(0, np.float32)))

    def _demonstrations(self, *arrays: Reals) -> Demonstrations[Tensor]:
        return Demonstrations(*(to_device(values, self.device) for values in arrays))

    def layers(self) -> ParameterViews:
        """Return copies of the parameters."""
        network = self.network
        return ParameterViews(network.actor.layers(), network.critic.layers(), network.actor.log_std_array())

    def load(self, actor: Layers, critic: Layers, log_std: Reals) -> None:
        """Overwrite the parameters."""
        self.network.actor.load(actor)
        self.network.actor.load_log_std(log_std)
        self.network.critic.load(critic)

    def scale_values(self, factor: float, shift: float) -> None:
        """Change the critic's last layer so that its output becomes factor·output + shift."""
        self.network.critic.scale_output(factor, shift)

    def use(self, batch: Batch[Reals]) -> None:
        """Take the decisions that the next minibatches are rows of."""
        self._batch: Batch[Tensor] = Batch(
            *(None if values is None else to_device(values, self.device) for values in batch)
        )

    def gradient(self, minibatch: Minibatch, step: StepOptions) -> tuple[Terms[float], float, float]:
        """Compute the gradient; return the terms, the gradient's norm and the advantages' standard deviation."""
        rows, policy_rows = (to_device(each, self.device) for each in (minibatch.rows, minibatch.policy_rows))
        terms, std, gradients = autograd_gradient(
            self.network, self._batch, rows, policy_rows, self._sampled(minibatch), step, self.options
        )
        for parameter, gradient in zip(self.network.parameters(), gradients, strict=True):
            parameter.grad = gradient
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.options.max_grad_norm)
        # one wait for the device per minibatch: all numbers come over together, before the optimizer's step
        norm_value, std_value, *numbers = torch.stack([norm, std, *terms]).tolist()
        return Terms(*numbers), norm_value, std_value

    def _sampled(self, minibatch: Minibatch) -> Demonstrations[Tensor] | None:
        """Return the demonstrations of a minibatch."""
        parts, batch = [], self._batch
        if self._captured is not None and len(minibatch.demonstrations):
            indices = to_device(minibatch.demonstrations, self.device)
            parts.append(Demonstrations(*(values[indices] for values in self._captured)))
        if len(minibatch.teacher_rows):
            rows = to_device(minibatch.teacher_rows, self.device)
            parts.append(Demonstrations(batch.features[rows], batch.action_mask[rows], batch.actions[rows]))
        return Demonstrations(*(torch.cat(values) for values in zip(*parts, strict=True))) if parts else None

    def gradients(self) -> list[NDArray[Any] | None]:
        """Return the gradient by parameter; None where the loss does not depend on it."""
        return [None if each.grad is None else each.grad.cpu().numpy().copy() for each in self.network.parameters()]

    def step(self, step: StepOptions) -> None:
        """Take Adam's step with every parameter that has a gradient."""
        self.optimizer.learning_rates = [step.actor_rate, step.critic_rate]
        self.optimizer.step()

    def adam_state(self) -> dict[str, NDArray[Any]]:
        """Return Adam's state by ``PARAMETER.NAME``."""
        return self.optimizer.state()

    def load_adam(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `adam_state` returned."""
        self.optimizer.load(state)
