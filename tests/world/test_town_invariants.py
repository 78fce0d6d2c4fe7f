"""What holds in every town, whatever is played."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townlet.dto.scenarios import SCENARIOS, scenario
from townlet.dto.town import DAY, KINDS
from townlet.world.batch import TownBatch
from townlet.world.features import BOUND
from townlet.world.kpis import metrics


def _actions(rng: np.random.Generator, batch: TownBatch, mask: np.ndarray, wild: float) -> np.ndarray:
    """Return legal actions, a share of them wild."""
    legal = np.argmax(rng.random(mask.shape) * mask, axis=-1)
    anything = rng.integers(0, mask.shape[-1], legal.shape)
    return np.where(rng.random(legal.shape) < wild, anything, legal).astype(np.int64)


def _check(batch: TownBatch) -> None:
    _, ledgers, agents, objects, rivalry, _, relations, _ = batch._state
    for need in ("hunger", "hygiene", "energy"):
        assert np.all((agents[need] >= 0) & (agents[need] <= 1)), need
    assert np.all(agents["wallet"] >= 0)
    assert np.all((agents["x"] >= 0) & (agents["x"] < batch.spec.width))
    assert np.all((agents["y"] >= 0) & (agents["y"] < batch.spec.height))
    assert np.array_equal(rivalry, rivalry.transpose(0, 2, 1))
    assert np.all((rivalry >= 0) & (rivalry <= 1))
    for o in range(objects.shape[1]):
        members = agents["queue"] == o
        holds = objects["holder"][:, o] >= 0
        assert np.array_equal(members.sum(1), objects["waiting"][:, o] + holds), "one holder, and who waits is counted"
        worlds = np.flatnonzero(holds)
        assert np.all(members[worlds, objects["holder"][worlds, o]]), "the holder is a member"
        assert np.all(objects["running"][:, o] <= holds)
    assert np.array_equal(agents["running"].sum(1), objects["running"].sum(1))
    assert np.all(agents["queue"][agents["respawn"] > 0] == -1)
    money = ledgers["initial_money"] + ledgers["wages"] - ledgers["spending"] - ledgers["fines"] - ledgers["forfeits"]
    assert np.allclose(agents["wallet"].sum(1), money, atol=1e-3), "money has a cause"
    makers = np.isin(objects["kind"], [n for n, kind in enumerate(KINDS) if batch.spec.affordances[kind].makes])
    meals = ledgers["meals_restocked"] + ledgers["meals_cooked"] - ledgers["meals_eaten"]
    assert np.array_equal((objects["stock"] * ~makers).sum(1), meals), "meals have a cause"
    raw = ledgers["raw_delivered"] - ledgers["raw_used"]
    assert np.array_equal((objects["stock"] * makers).sum(1), raw), "raw portions have a cause"
    for feeling in ("trust", "familiarity"):
        assert np.all(np.abs(relations[feeling]) <= 1), feeling
    assert np.array_equal(relations["chain_length"], relations["chain_length"].transpose(0, 2, 1))
    assert np.all(ledgers["escalations"] <= ledgers["conflicts"])
    assert np.all((agents["respawn"] == 0) | (agents["called"] == 0))
    assert np.all(objects["stock"] >= 0)
    tallies = batch.tallies()
    for declared, total, exposure in zip(metrics(batch.spec), tallies.sums, tallies.exposures, strict=True):
        ratios = total[exposure > 0] / exposure[exposure > 0]
        low, high = (bound if bound is not None else default for bound, default in
                     ((declared.low, -np.inf), (declared.high, np.inf)))  # fmt: skip
        assert np.all((ratios >= low) & (ratios <= high)), f"{declared.name} leaves its range: {ratios}"


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), name=st.sampled_from(sorted(SCENARIOS)), wild=st.sampled_from([0.0, 0.2, 1.0]))
def test_any_actions_leave_a_sound_town(seed: int, name: str, wild: float) -> None:
    """Needs, wallets, queues, holders, money and meals hold together under any actions, legal or not."""
    rng, batch = np.random.default_rng(seed), TownBatch(scenario(name), worlds=3, seed=seed, days=1)
    seen = batch.reset()
    for _ in range(240):
        result = batch.step(_actions(rng, batch, seen.action_mask, wild))
        seen = result.observations
        _check(batch)
        assert np.all(np.isfinite(seen.observations))
        assert np.all(np.abs(seen.observations) <= BOUND)
        assert np.all(seen.observations[~seen.alive] == 0)
        assert np.all(seen.action_mask[..., 0]), "waiting is always legal"
        assert np.all(seen.action_mask[~seen.alive].sum(-1) == 1)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_terms_add_up_to_the_rewards(seed: int) -> None:
    """The breakdown of each decision sums, in the order of its names, to the rewards."""
    rng, batch = np.random.default_rng(seed), TownBatch(scenario("small_town"), worlds=4, seed=seed, days=1)
    seen, episode_return = batch.reset(), np.zeros((4, 8))
    for _ in range(100):
        result = batch.step(_actions(rng, batch, seen.action_mask, 0.1))
        seen, episode_return = result.observations, episode_return + result.rewards
        terms = batch.breakdown().terms
        total = np.zeros((4, 8), np.float32)
        for term in terms:
            total += term
        assert total.tolist() == result.rewards.tolist()
    assert np.allclose(episode_return.sum(1), batch.tallies().sums[0])


def test_random_play_for_ten_thousand_ticks_never_blocks_a_queue() -> None:
    """No agent waits in a queue longer than all others' uses and grants could take, under random legal play."""
    batch = TownBatch(scenario("queue_conflict"), worlds=8, seed=5, days=7)
    rng, seen, longest = np.random.default_rng(0), batch.reset(), 0
    for _ in range(10_000 // 6):
        seen = batch.step(_actions(rng, batch, seen.action_mask, 0.0)).observations
        waiting = batch._state.agents["queue"] >= 0
        longest = max(longest, int(batch._state.agents["waited"][waiting].max(initial=0)))
    assert 0 < longest < 3 * (30 + 6) * 3


def test_episodes_end_by_time_and_stay_ended() -> None:
    """After its days a world is truncated, and stepping on changes nothing until it is reset."""
    batch = TownBatch(scenario("small_town"), worlds=2, seed=1, days=1)
    batch.reset()
    wait = np.zeros((2, 8), np.int64)
    for decision in range(240):
        result = batch.step(wait)
        assert (decision == 239) == bool(result.truncations.all())
    before = batch.state_hash()
    again = batch.step(wait)
    assert before == batch.state_hash()
    assert not again.rewards.any()
    assert again.truncations.all()
    batch.reset(np.array([True, False]))
    assert [0, DAY] == batch._state.clocks["tick"].tolist()
    assert [2, 1] == batch._state.clocks["episode"].tolist()


def test_worlds_do_not_all_begin_at_breakfast() -> None:
    """Start phases are spread over the day."""
    batch = TownBatch(scenario("small_town"), worlds=200, seed=1, days=1)
    batch.reset()
    hours = np.bincount(batch._state.clocks["start"] // 60, minlength=24)
    assert 200 == hours.sum()
    assert hours.min() >= 1


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_objects_stand_on_tiles_of_their_own(name: str) -> None:
    """No two objects share a tile, and none stands on a site."""
    batch = TownBatch(scenario(name), worlds=100, seed=9, days=1)
    batch.reset()
    for objects in batch._state.objects:
        tiles = {(int(item["x"]), int(item["y"])) for item in objects}
        assert len(objects) == len(tiles)
        assert tiles.isdisjoint({(job.site_x, job.site_y) for job in batch.spec.jobs})
