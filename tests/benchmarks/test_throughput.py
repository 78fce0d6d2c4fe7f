"""The pages of `throughput.py` say what was measured."""

from collections.abc import Callable

import pytest
from contestants import Figures, bare, products
from tables import learners_table, parts_lines, players_table, ratio

from townlet.policy.training.bench_products import PPOShapes

SHAPES = PPOShapes(
    worlds=1, agents=10, features=4, outputs=2, num_steps=10, update_epochs=1, minibatch_size=100, hidden_sizes=(8,)
)


@pytest.mark.torch
@pytest.mark.parametrize("contestant", [bare, products])
def test_what_ppo_cannot_do_without_can_be_timed_at_any_shape(contestant: Callable[[PPOShapes, int], Figures]) -> None:
    """Two iterations after the first one count."""
    told = contestant(SHAPES, 2)

    assert 2 * 100 == told["agent_steps"]
    assert told["seconds"] > 0
    assert told["processor"] > 0


def figures(seconds: float, processor: float) -> Figures:
    """Return what a contestant tells of 100 agent-steps."""
    return {"agent_steps": 100.0, "seconds": seconds, "processor": processor}


def our_figures(seconds: float, processor: float) -> Figures:
    """Return what ours tells: half of the time is the environment's, and products would take a tenth."""
    parts = {"environment": 0.5, "acting": 0.25, "update": 0.25, "rest": 0.0, "products": 0.1}
    told = {name: share * seconds for name, share in parts.items()}
    told |= {f"{name}_processor": share * processor for name, share in parts.items()}
    return figures(seconds, processor) | told | {"sgemm": 2.0, "sgemm_processor": 1.0, "sgemm_of_one": 1.0}


def test_a_ratio_is_the_median_of_the_rounds_that_both_took_part_in() -> None:
    """A slow contestant takes part once; the clocks are told apart."""
    rounds = {
        "ours": [our_figures(1.0, 2.0), our_figures(1.0, 2.0), our_figures(4.0, 2.0)],
        "another": [figures(2.0, 2.0), figures(3.0, 2.0), figures(4.0, 2.0)],
        "slow": [figures(100.0, 20.0)],
    }

    assert 2.0 == ratio(rounds, "ours", "another")
    assert 1.0 == ratio(rounds, "ours", "another", "processor")
    assert 100.0 == ratio(rounds, "ours", "slow")
    assert "| another | 33 | 25 … 50 | 2.00 | 1.00 |" in learners_table(rounds)


def test_players_are_compared_with_the_bare_loop() -> None:
    """Twice the time is 2.00."""
    rounds = {"loop": [figures(1.0, 1.0)], "worlds": [figures(2.0, 3.0)]}

    assert "| worlds | 50 | 50 … 50 | 2.00 | 3.00 |" == players_table(rounds)[-1]


def test_the_page_says_where_our_time_goes() -> None:
    """By both clocks, with the arithmetic as a share of a large product; and ours without the environment."""
    rounds = {"ours": [our_figures(1.0, 2.0)], "one-jit JAX learner": [figures(1.0, 1.0)]}
    by_clock, _, by_processor, _, last = parts_lines(rounds, SHAPES, 2)

    assert "environment 50%, acting 25%, update 25%" in by_clock
    assert "would take 10%" in by_clock
    assert "2 that one large product reaches on 2 threads" in by_clock
    assert "1 that one large product reaches by one thread" in by_processor
    assert last.endswith("our learner is 2.00 × the one-jit learner.")
