"""The smallest schedule that plays: the script is recorded for two days, and that is all."""

PLAYS = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 2}
teacher: scripted
registry: {name: plays}
guards: {enough: {metric: capture.episodes, at_least: 2}}
initial: capture
states:
  capture:
    strategy: capture
    with: {episodes: 2, days: 1}
    next: [{to: done, when: [enough]}, {to: hold, why: too few}]
"""
