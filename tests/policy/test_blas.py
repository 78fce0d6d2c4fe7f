"""Matrix products take one thread, give the same bits on any machine, and restore the number of threads."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from townlet.policy.model import blas
from townlet.policy.model.blas import one_thread
from townlet.policy.model.forward import forward
from townlet.policy.model.initialise import fresh_layers
from townlet.policy.model.parity import parity
from townlet.policy.model.products import product_address

get, take = blas._openblas(blas._libraries[0])


@pytest.fixture(autouse=True)
def _two_threads() -> object:
    """Let products take two threads, where numpy's library can be told."""
    before = get()
    take(2)
    if get() != 2:
        pytest.skip("numpy's products come from a library that cannot be told here")
    yield
    take(before)


def test_the_number_of_threads_is_restored_when_the_last_context_closes() -> None:
    """Nested contexts, and a context that ends with an error."""
    with one_thread():
        with one_thread():
            assert 1 == get()
        assert 1 == get()
    assert 2 == get()
    with pytest.raises(ZeroDivisionError), one_thread():
        raise ZeroDivisionError
    assert 2 == get()


def test_overlapping_contexts_of_two_threads_stay_on_one_thread() -> None:
    """The context that opened first closes while the second is open."""
    entered, left = Barrier(2), Barrier(2)

    def first() -> None:
        with one_thread():
            entered.wait()
        left.wait()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(first)
        with one_thread():
            entered.wait()
            left.wait()
            assert 1 == get()
        done.result()
    assert 2 == get()


def test_a_library_that_comes_later_is_on_one_thread_too() -> None:
    """That of scipy, which kernels use: from the moment on at which it is named, and restored with the others."""
    product_address("float32")
    theirs, tell = blas._openblas(blas._libraries[-1])
    tell(2)
    if theirs() != 2:
        pytest.skip("scipy's products come from a library that cannot be told here")
    assert blas._libraries[0] != blas._libraries[-1]
    with one_thread():
        assert 1 == theirs()
        tell(2)
        blas.add_library(blas._libraries[-1])
        assert 1 == theirs() == get()
    assert 2 == theirs() == get()
    tell(1)


def test_a_product_has_the_same_bits_for_any_number_of_threads() -> None:
    """A shape whose last bits do depend on it."""
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal(shape).astype(np.float32) for shape in ((101, 3077), (3077, 63)))
    found = []
    for threads in (1, 2):
        take(threads)
        with one_thread():
            found.append(one @ other)
    assert np.array_equal(*found)


def test_a_forward_pass_restores_the_number_of_threads() -> None:
    """Each forward pass is on one thread, and nothing after it is."""
    forward(fresh_layers(np.random.default_rng(0), (3, 8, 2), 1.0), np.zeros((5, 3), np.float32))
    assert 2 == get()


def test_the_certificate_of_a_policy_is_computed_on_one_thread() -> None:
    """It stands in the weights, and so in their digest; last bits of products depend on threads."""
    seen = []

    class Layers(tuple):  # type: ignore[type-arg]
        __slots__ = ()

        def __iter__(self):  # type: ignore[no-untyped-def]
            seen.append(get())
            return super().__iter__()

    parity(Layers(fresh_layers(np.random.default_rng(1), (3, 2), 1.0)), np.ones((5, 3), np.float32))
    assert {1} == set(seen)
    assert 2 == get()
