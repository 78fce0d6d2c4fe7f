"""Training logs for tests: some epochs and a closing line."""

from pathlib import Path
from typing import Any

from attrs import evolve

from townlet.dto.training_log import AnnealFields, CoreFields, HealthFields, StreamFields, TrainingLogEntry
from townlet.store.training_log import TrainingLogWriter


def entry(epoch: int, *, closing: bool = False) -> TrainingLogEntry:
    """Return the line of one epoch."""
    found = TrainingLogEntry(
        core=CoreFields(
            epoch=epoch, updates=4, transitions=100, loss_policy=-0.01, loss_value=0.5 / epoch, loss_entropy=1.0,
            loss_total=0.3, clip_fraction=0.1, adv_mean=0.0, adv_std=1.0, grad_norm=0.4, kl_divergence=0.01, lr=1e-3,
            steps=100 * epoch,
        ),
        health=HealthFields(
            adv_zero_std_batches=0, adv_min_std=0.9, clip_triggered_minibatches=2, clip_fraction_max=0.2
        ),
        stream=StreamFields(
            epoch_duration_sec=0.1, data_mode="rollout", cycle_id=1, batch_entropy_mean=1.0, batch_entropy_std=0.1,
            grad_norm_max=0.6, kl_divergence_max=0.02, reward_advantage_corr=0.5, rollout_ticks=48,
        ),
    )  # fmt: skip
    return evolve(found, anneal=AnnealFields(cycle=1, stage="ppo", loss_flag=True)) if closing else found


def write(path: Path, epochs: int, **options: Any) -> None:
    """Write some epochs and a closing line."""
    writer = TrainingLogWriter(path, **options)
    for epoch in range(1, epochs + 1):
        writer.append(entry(epoch))
    writer.close_visit()
    writer.append(entry(epochs, closing=True))
