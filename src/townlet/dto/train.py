"""The flags of `townlet train`: one record that the command line, the façade and the reference page share."""

from pathlib import Path
from typing import Any, Literal

import attrs
from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.strategies import Device

__all__ = ["MODES", "OPTION", "Mode", "TrainRequest", "as_text"]

Mode = Literal["anneal", "bc", "rollout", "replay", "mixed", "capture", "ppo"]
MODES: tuple[Mode, ...] = ("anneal", "bc", "rollout", "replay", "mixed", "capture", "ppo")
OPTION, IN = "option", "modes"


def as_text(path: Path | None) -> str | None:
    """Return a path as a request holds it."""
    return None if path is None else str(path)


def _flag(default: Any, *modes: Mode, option: str = "") -> Any:
    """Return a field for a flag that means something in `modes` (all where none is named).

    `option` is ``STRATEGY.NAME``: the field of the strategy's `with:` block that the flag takes the place of, or
    ``STRATEGY, STRATEGY.NAME`` of several.
    """
    return attrs.field(default=default, metadata={OPTION: option, IN: modes})


_REPLAY: tuple[Mode, ...] = ("replay", "mixed")
_PLAY: tuple[Mode, ...] = ("rollout", "mixed", "capture", "bc")
_TUNE: tuple[Mode, ...] = ("anneal", "rollout", "replay", "mixed", "ppo")


@frozen(kw_only=True)
class TrainRequest(Record):
    """What `townlet train SCHEDULE` is asked to do; a flag that the mode has no use for is refused."""

    mode: Mode = "anneal"
    """Which part of the schedule's machine is run: anneal all of it, bc capture and bc, rollout capture (of the
    learner's own play) and ppo, replay a data set's summaries, mixed replay then rollout, capture and ppo alone."""
    replay_sample: str | None = _flag(None, *_REPLAY)
    """One sample, an NPZ file."""
    replay_meta: str | None = _flag(None, *_REPLAY)
    """Its JSON; the same stem where not given."""
    replay_manifest: str | None = _flag(None, *_REPLAY, "ppo")
    """A manifest of samples, JSON or YAML."""
    capture_dir: str | None = _flag(None, *_REPLAY, "ppo")
    """A directory that --rollout-save-dir wrote."""
    replay_batch_size: int | None = _flag(None, *_REPLAY, option="replay.batch_size")
    """Samples per batch."""
    replay_shuffle: bool = _flag(False, *_REPLAY, option="replay.shuffle")
    """Shuffle within groups of equal shapes."""
    replay_seed: int | None = _flag(None, *_REPLAY, option="replay.seed")
    """Seed of the shuffling; the visit's own where not given."""
    replay_drop_last: bool = _flag(False, *_REPLAY, option="replay.drop_last")
    """Leave out batches that are not full."""
    replay_streaming: bool = _flag(False, *_REPLAY, option="replay.streaming")
    """Read one batch at a time instead of the whole data set."""
    bc_manifest: str | None = _flag(None, "bc")
    """Clone these samples instead of capturing the teacher."""
    anneal_log_dir: str | None = _flag(None, "anneal")
    """Directory for anneal_results.json, promotion_snapshot.json and training_log.jsonl."""
    anneal_exit_on_failure: bool = _flag(False, "anneal")
    """Exit with 1 unless the status is PASS."""
    train_ppo: bool = _flag(False, *_REPLAY)
    """Train ppo on the data set too; it must be one that this version wrote."""
    rollout_save_dir: str | None = _flag(None, *_PLAY)
    """Directory for the captured play as samples, with manifest and metrics."""
    rollout_ticks: int | None = _flag(None, *_PLAY, option="capture.ticks")
    """Simulated ticks to capture; the schedule's days where not given."""
    rollout_auto_seed_agents: bool = _flag(False, *_PLAY)
    """Worlds are always laid out with their agents: accepted, changes nothing."""
    epochs: int | None = _flag(None, *_TUNE, option="ppo.iterations")
    """Update epochs (iterations) of ppo, instead of the schedule's agent_steps."""
    ppo_log: str | None = _flag(None, *_TUNE)
    """File of the training log, JSON lines; appended to."""
    ppo_log_frequency: int = _flag(1, *_TUNE)
    """Log every n-th epoch, and the last; closing lines always."""
    ppo_log_max_entries: int | None = _flag(None, *_TUNE)
    """Lines per file; then LOG.1, LOG.2 … are begun."""
    device: Device | None = _flag(None, option="bc, ppo.device")
    """Where networks are trained; `auto` is a GPU where torch sees one. Nothing changes for who trains none."""
    ppo_learning_rate: float | None = _flag(None, *_TUNE, option="ppo.learning_rate")
    """Adam's step size."""
    ppo_clip_param: float | None = _flag(None, *_TUNE, option="ppo.clip_coef")
    """Clip range of the probability ratio."""
    ppo_value_loss_coef: float | None = _flag(None, *_TUNE, option="ppo.vf_coef")
    """Weight of the value loss."""
    ppo_entropy_coef: float | None = _flag(None, *_TUNE, option="ppo.ent_coef")
    """Weight of the entropy bonus."""
    ppo_num_epochs: int | None = _flag(None, *_TUNE, option="ppo.update_epochs")
    """Passes over the samples of an iteration."""
    ppo_mini_batch_size: int | None = _flag(None, *_TUNE, option="ppo.minibatch_size")
    """Samples per update."""
    ppo_num_mini_batches: int | None = _flag(None, *_TUNE, option="ppo.num_minibatches")
    """Updates per pass, instead of a size."""
    ppo_gae_lambda: float | None = _flag(None, *_TUNE, option="ppo.gae_lambda")
    """Decay of generalised advantage estimation."""
    ppo_gamma: float | None = _flag(None, *_TUNE, option="ppo.gamma")
    """Discount per decision."""
    ppo_max_grad_norm: float | None = _flag(None, *_TUNE, option="ppo.max_grad_norm")
    """Bound on the norm of the gradient."""
    ppo_value_clip: float | None = _flag(None, *_TUNE, option="ppo.vf_clip_coef")
    """Clip range of the value's move, in units of the value normaliser."""
    ppo_normalize_advantages: bool = _flag(False, *_TUNE, option="ppo.norm_adv")
    """Normalise advantages per minibatch (the default of a schedule)."""
    ppo_no_normalize_advantages: bool = _flag(False, *_TUNE, option="ppo.norm_adv")
    """Leave advantages as they are."""

    def given(self) -> tuple[str, ...]:
        """Return the names of the flags that differ from their defaults, in the order of the table."""
        return tuple(a.name for a in attrs.fields(TrainRequest) if getattr(self, a.name) != a.default)

    @staticmethod
    def flag(name: str) -> str:
        """Return a field's flag.

        >>> TrainRequest.flag("ppo_log")
        '--ppo-log'
        """
        return "--" + name.replace("_", "-")

    @staticmethod
    def modes(name: str) -> tuple[Mode, ...]:
        """Return the modes a flag means something in."""
        modes: tuple[Mode, ...] = attrs.fields_dict(TrainRequest)[name].metadata.get(IN, ())
        return modes or MODES

    @staticmethod
    def option(name: str) -> tuple[str, str] | None:
        """Return the strategies (``ppo`` or ``bc, ppo``) and the option a flag takes the place of; none where none."""
        strategy, _, option = attrs.fields_dict(TrainRequest)[name].metadata.get(OPTION, "").partition(".")
        return (strategy, option) if option else None
