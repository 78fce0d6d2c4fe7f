"""Distributions of actions in torch, whose terms autograd differentiates; `distributions.backward` does it by hand."""

from typing import NamedTuple

import torch
from torch import Tensor

from townlet.dto.actions import ActionSpec
from townlet.policy.distributions.acting import ILLEGAL, LOG_ROOT_2PI

__all__ = ["ActionDistribution"]


class ActionDistribution(NamedTuple):
    """What a policy would do in B states: independent categorical and Gaussian heads."""

    spec: ActionSpec
    """The heads."""
    log_p: tuple[Tensor, ...]
    """[B, n] for each discrete head, log-probabilities of its n options; illegal ones get about −1e9."""
    legal: tuple[Tensor, ...]
    """[B, n] for each discrete head."""
    means: Tensor
    """[B, D]."""
    log_std: Tensor
    """[D]."""

    @classmethod
    def of_outputs(cls, outputs: Tensor, mask: Tensor, log_std: Tensor, spec: ActionSpec) -> "ActionDistribution":
        """Return the distribution of network outputs [B, A + D] under a mask [B, A].

        l = z − log Σₖ exp(zₖ) within each discrete head, with zⱼ = −10⁹ where option j is illegal
        """
        if outputs.ndim != 2 or mask.shape != (len(outputs), spec.logits):
            raise ValueError(
                f"expected outputs [B, {len(spec.outputs)}] and a mask [B, {spec.logits}], "
                f"found {tuple(outputs.shape)} and {tuple(mask.shape)}"
            )
        sizes = [len(head.options) for head in spec.discrete]
        legal = mask.split(sizes, -1)
        logits = outputs[:, : spec.logits].split(sizes, -1)
        log_p = tuple(
            torch.log_softmax(torch.where(each, z, float(ILLEGAL)), dim=-1)
            for each, z in zip(legal, logits, strict=True)
        )
        return cls(spec=spec, log_p=log_p, legal=legal, means=outputs[:, spec.logits :], log_std=log_std)

    def log_prob(self, actions: Tensor) -> Tensor:
        """Return log π(a|s) [B] of actions [B, C]: the sum over the heads.

        Box heads:  −½·((a − μ) ÷ σ)² − log σ − ½·log 2π
        """
        terms = [log_p.gather(1, actions[:, column, None].long()).squeeze(1) for column, log_p in enumerate(self.log_p)]
        if self.spec.box:
            terms.append(self._density(actions).sum(-1))
        return _sum(terms)

    def _density(self, actions: Tensor) -> Tensor:
        z = (actions[:, len(self.spec.discrete) :] - self.means) * (-self.log_std).exp()
        return -0.5 * z.square() - self.log_std - LOG_ROOT_2PI

    def entropy(self) -> Tensor:
        """Return the entropy [B], nat: −Σⱼ pⱼ·lⱼ over the legal options of each head, plus Σ_d log σ + ½·log 2πe."""
        terms = [
            -torch.where(legal, log_p.exp() * log_p, 0.0).sum(-1)
            for log_p, legal in zip(self.log_p, self.legal, strict=True)
        ]
        if self.spec.box:
            terms.append((self.log_std + LOG_ROOT_2PI + 0.5).sum().expand(len(self.means)))
        return _sum(terms)

    def kl_from(self, parent: "ActionDistribution") -> Tensor:
        """Return KL(parent ‖ this) [B], nat (kickstarting, Schmitt et al. 2018).

        Discrete heads, q the parent's probabilities:  Σⱼ qⱼ·(log qⱼ − lⱼ)
        Box heads, ν and τ the parent's mean and standard deviation:  log σ ÷ τ + (τ² + (ν − μ)²) ÷ 2σ² − ½
        """
        terms = [
            torch.where(legal, log_q.exp() * (log_q - log_p), 0.0).sum(-1)
            for log_q, log_p, legal in zip(parent.log_p, self.log_p, self.legal, strict=True)
        ]
        if self.spec.box:
            spread = (2 * parent.log_std).exp() + (parent.means - self.means).square()
            ratio = self.log_std - parent.log_std
            terms.append((ratio + 0.5 * spread * (-2 * self.log_std).exp() - 0.5).sum(-1))
        return _sum(terms)

    def imitation_loss(self, labels: Tensor, smoothing: float) -> Tensor:
        """Return the negative log-likelihood [B] of labels [B, C], with label smoothing s in discrete heads.

        −(1 − s)·l_label − s·mean over legal j of lⱼ
        """
        terms = []
        for column, (log_p, legal) in enumerate(zip(self.log_p, self.legal, strict=True)):
            label = log_p.gather(1, labels[:, column, None].long()).squeeze(1)
            mean = torch.where(legal, log_p, 0.0).sum(-1) / legal.sum(-1).clamp(min=1)
            terms.append(-((1 - smoothing) * label + smoothing * mean))
        if self.spec.box:
            terms.append(-self._density(labels).sum(-1))
        return _sum(terms)

    def mode(self) -> Tensor:
        """Return the most likely options [B, K] of the discrete heads."""
        if not self.log_p:
            return self.means.new_zeros((len(self.means), 0), dtype=torch.int64)
        return torch.stack([log_p.argmax(-1) for log_p in self.log_p], -1)


def _sum(terms: list[Tensor]) -> Tensor:
    """Return the sum of at least one term, added in their order; of one term its own bits."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
