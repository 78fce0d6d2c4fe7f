"""The town through the sockets of `townlet.ports`."""

import subprocess
import sys

import attrs
import numpy as np
import pytest

from townlet.dto.scenarios import scenario
from townlet.env.town import TownProvider, describe
from townlet.errors import BadInputError
from townlet.policy.compat.training_log import EVENTS
from townlet.ports import Environment, EnvironmentProvider, Teacher, provider


def test_the_town_is_found_by_name_and_fits_the_sockets() -> None:
    """Entry point, provider, environment and teachers satisfy their protocols."""
    town = provider("town")
    assert isinstance(town, EnvironmentProvider)
    environment = town.make(
        "small_town", worlds=2, seed=1, max_steps=describe(scenario("small_town")).episode_length(1)
    )
    assert isinstance(environment, Environment)
    assert town.describe("small_town") == environment.description
    for name in environment.description.teachers:
        assert isinstance(town.teacher("small_town", name), Teacher)


def test_the_description_matches_what_is_played() -> None:
    """Features, actions, agents, metrics and decisions a day are those of the arrays."""
    environment = TownProvider().make(
        "queue_conflict", worlds=2, seed=1, max_steps=describe(scenario("queue_conflict")).episode_length(1)
    )
    about, seen = environment.description, environment.reset()
    assert (2, about.agents, len(about.features)) == seen.observations.shape
    assert (2, about.agents, about.actions.logits) == seen.action_mask.shape
    for _ in range(about.decisions_per_day):
        result = environment.step(np.zeros((2, about.agents), np.int64))
    assert result.truncations.all()
    tallies = environment.tallies()
    assert (len(about.metrics), 2) == tallies.sums.shape == tallies.exposures.shape
    assert [3.0, 3.0] == tallies.exposures[0].tolist()


def test_describing_a_town_loads_no_compiler() -> None:
    """A checker may ask for descriptions and teachers without importing numba."""
    code = (
        "import sys; from townlet.ports import provider; town = provider('town'); town.describe('small_town'); "
        "town.teacher('small_town', 'scripted'); sys.exit('numba' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_the_signature_tells_rules_apart() -> None:
    """Any change of a constant changes the signature, equal specs share it."""
    spec = scenario("small_town")
    assert describe(spec).signature == TownProvider().describe("small_town").signature
    assert describe(attrs.evolve(spec, refuse_above=0.7)).signature != describe(spec).signature


@pytest.mark.parametrize("ask", ["describe", "teacher"])
def test_a_wrong_name_is_answered_with_the_right_one(ask: str) -> None:
    """Unknown scenarios and teachers are refused with the nearest known name."""
    town = TownProvider()
    asked = {"describe": lambda: town.describe("smal_town"), "teacher": lambda: town.teacher("small_town", "scriptd")}
    with pytest.raises(BadInputError, match="did you mean"):
        asked[ask]()


def test_what_the_training_log_counts_is_measured() -> None:
    """Chats that fail, shared meals, help for the late and taken shifts are KPIs: no event stays 0."""
    town = TownProvider().make(
        "small_town", worlds=16, seed=1, max_steps=describe(scenario("small_town")).episode_length(3)
    )
    script, seen = TownProvider().teacher("small_town", "scripted"), town.reset()
    for _ in range(3 * town.description.decisions_per_day):
        seen = town.step(script.act(seen)).observations
    sums = dict(zip((spec.name for spec in town.description.metrics), town.tallies().sums.sum(1), strict=True))
    assert [] == [name for name in EVENTS.values() if not sums[name] > 0]
