"""The numpy forward pass gives the same bits for any split; sampling follows the softmax and the masks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from townlet.dto.boundary import ObservationBatchDTO
from townlet.policy.model.inference import ActingPolicy, choose_greedily, forward, log_probabilities, masked, sample
from townlet.policy.model.initialise import fresh_layers
from townlet.rng import mix, uniform


def test_a_row_has_the_same_bits_alone_and_in_any_batch() -> None:
    """The number of workers and the split of a batch never change an action."""
    rng = np.random.default_rng(0)
    layers = fresh_layers(rng, (37, 64, 64, 11), 1.0)
    inputs = rng.standard_normal((700, 37)).astype(np.float32)
    whole = forward(layers, inputs)
    for split in (1, 7, 255, 256, 257, 699):
        parts = [forward(layers, inputs[:split]), forward(layers, inputs[split:])]
        assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(whole[13:14], forward(layers, inputs[13:14]))


def test_forward_is_a_multi_layer_perceptron() -> None:
    """Affine layers with ReLU between them and none after the last."""
    layers = (
        (np.array([[1.0, -1.0]], np.float32), np.array([0.5, 0.0], np.float32)),
        (np.array([[2.0], [3.0]], np.float32), np.array([-1.0], np.float32)),
    )
    expected = np.array([[2 * 1.5 + 0 - 1], [0 + 3 * 2 - 1]], np.float32)
    assert np.array_equal(expected, forward(layers, np.array([[1.0], [-2.0]], np.float32)))


def test_an_empty_batch_gives_empty_outputs() -> None:
    """A batch without agents is not an error."""
    layers = fresh_layers(np.random.default_rng(0), (3, 8, 2), 1.0)
    assert (0, 2) == forward(layers, np.empty((0, 3), np.float32)).shape


@given(st.integers(0, 2**32), st.integers(2, 14))
def test_an_illegal_action_is_never_chosen(seed: int, actions: int) -> None:
    """Neither greedily nor by chance, whatever the logits and the masks."""
    rng = np.random.default_rng(seed)
    mask = rng.random((50, actions)) < 0.4
    mask[np.arange(50), rng.integers(0, actions, 50)] = True
    logits = masked((rng.standard_normal((50, actions)) * 30).astype(np.float32), mask)
    numbers = uniform(mix(seed, np.arange(50, dtype=np.uint64)))
    for chosen in (choose_greedily(logits), sample(logits, numbers)):
        assert mask[np.arange(50), chosen].all()


def test_actions_are_sampled_with_the_probabilities_of_the_softmax() -> None:
    """Frequencies of 200,000 draws agree with exp(log_probabilities) to three standard errors."""
    logits = np.array([0.0, 1.0, -1.0, 0.5], np.float32)
    numbers = uniform(mix(9, np.arange(200_000, dtype=np.uint64)))
    drawn = sample(np.broadcast_to(logits, (len(numbers), 4)), numbers)
    expected = np.exp(log_probabilities(logits[None]))[0]
    seen = np.bincount(drawn, minlength=4) / len(numbers)
    assert np.all(np.abs(seen - expected) < 3 * np.sqrt(expected * (1 - expected) / len(numbers)))


def test_a_worlds_samples_do_not_depend_on_its_batch() -> None:
    """Sampling is keyed by world and agent, not by position in an array."""
    rng = np.random.default_rng(1)
    actor = fresh_layers(rng, (5, 8, 4), 1.0)
    policy = ActingPolicy(actor=actor, mean=np.zeros(5, np.float32), scale=np.ones(5, np.float32), mode="stochastic")
    observations = rng.standard_normal((6, 3, 5)).astype(np.float32)
    keys = mix(4, np.arange(6, dtype=np.uint64))

    def act(worlds: slice) -> np.ndarray:
        size = len(keys[worlds])
        return policy.act(
            ObservationBatchDTO(
                observations=observations[worlds],
                action_mask=np.ones((size, 3, 4), np.bool_),
                alive=np.ones((size, 3), np.bool_),
                keys=keys[worlds],
            )
        )

    assert np.array_equal(act(slice(0, 6)), np.concatenate([act(slice(0, 1)), act(slice(1, 6))]))
