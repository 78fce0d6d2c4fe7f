"""Schedules of the corridor for tests, as text, so that they go through the loader like anybody's."""

from pathlib import Path

GUARDED = """\
schedule: townlet/v1
name: corridor
seed: {seed}
environment: {{id: corridor, scenario: plain, worlds: 16}}
teacher: lazy
registry: {{name: corridor, champion: champion, scope: {scope}}}
evidence:
  full: {{episodes: [20, 40], days: 2, confidence: 95%}}
  quick: {{episodes: [20], days: 1, confidence: 99%, seeds: fixed}}
baselines:
  champion: {{alias: champion, otherwise: teacher}}
  teacher: {{policy: teacher}}
guards:
  cloned: {{metric: bc.heldout_accuracy, at_least: 0.9}}
  finite: {{metric: ppo.nonfinite_updates, at_most: 0}}
  better: {{metric: evaluate.return_per_agent_day, better_by: {{baseline: champion, absolute: 0}}, evidence: full}}
  worse:
    metric: evaluate.return_per_agent_day
    worse_by: {{baseline: champion, relative: 5%, floor: 1.0}}
    evidence: full
  rounds_left: {{visits_to: ppo, below: 2}}
  rollbacks_left: {{visits_to: rollback, below: 2}}
initial: capture
states:
  capture: {{strategy: capture, with: {{episodes: 24, days: 2}}, next: [{{to: bc}}]}}
  bc:
    strategy: bc
    with: {{update_epochs: 12, learning_rate: 1.0e-2, minibatch_size: 256, hidden_sizes: [16], label_smoothing: 0.02}}
    next: [{{to: ppo, when: [cloned]}}, {{to: hold, why: the clone is too weak}}]
  ppo:
    strategy: ppo
    with: {ppo}
    next: [{{to: evaluate, when: [finite]}}, {{to: rollback, why: the update diverged}}]
  evaluate:
    strategy: evaluate
    next:
      - {{to: rollback, when: [worse]}}
      - {{to: promote, when: [better]}}
      - {{to: ppo, when: [rounds_left]}}
      - {{to: done, why: nothing better}}
  promote: {{strategy: promote, next: [{{to: done}}]}}
  rollback:
    strategy: rollback
    with: {{scale: {{ppo.learning_rate: 0.5}}}}
    next: [{{to: ppo, when: [rollbacks_left, rounds_left]}}, {{to: hold, why: rolled back too often}}]
"""

LEARNS = "{start_from: clone, agent_steps: 16000, num_steps: 24, days: 4, learning_rate: 5.0e-3, minibatch_size: 256}"
"""A ppo block that learns to never rest."""

WEIGHTS_FILE = """\
schedule: townlet/v1
name: given
seed: 3
environment: {{id: corridor, scenario: {scenario}, worlds: 16}}
teacher: random
registry: {{name: given, champion: champion}}
policies: {{given: {{file: {file}, sha256: {sha256}}}}}
evidence: {{full: {{episodes: [20], days: 2, confidence: 95%}}}}
baselines: {{champion: {{alias: champion, otherwise: teacher}}, teacher: {{policy: teacher}}}}
guards:
  better: {{metric: evaluate.return_per_agent_day, better_by: {{baseline: champion, absolute: 0}}, evidence: full}}
initial: capture
states:
  capture: {{strategy: capture, with: {{episodes: 8, days: 1}}, next: [{{to: evaluate}}]}}
  evaluate:
    strategy: evaluate
    with: {{candidate: given}}
    next: [{{to: promote, when: [better]}}, {{to: rollback}}]
  promote: {{strategy: promote, next: [{{to: done}}]}}
  rollback: {{strategy: rollback, with: {{target: champion}}, next: [{{to: hold}}]}}
"""


def write(folder: Path, text: str, **values: object) -> Path:
    """Write a schedule with its blanks filled in and return its path."""
    path = folder / "schedule.yaml"
    path.write_text(text.format(**values), encoding="utf-8")
    return path
