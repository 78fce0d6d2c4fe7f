"""What a step of towns returns is built without checks: these tests make them."""

import attrs
import numpy as np
import pytest
from attrs import evolve

from townlet.dto.scenarios import scenario
from townlet.world.batch import TownBatch
from townlet.world.teachers import ScriptedTeacher

SPEC = evolve(scenario("small_town"), object_slots=9)


def arrays(record: object) -> dict[str, np.ndarray]:
    """Return the arrays of a record by name, those of its observations included."""
    found: dict[str, np.ndarray] = {}
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        found |= {field.name: value} if isinstance(value, np.ndarray) else arrays(value)
    return found


@pytest.mark.parametrize("worlds", [1, 3])
def test_the_records_of_a_step_pass_their_checks(worlds: int) -> None:
    """Built again from their own fields with all checks, they are equal; so are the observations of a reset."""
    batch = TownBatch(SPEC, worlds=worlds, seed=1, days=1)
    seen = batch.reset()
    result = batch.step(ScriptedTeacher().act(seen))
    for record in (seen, result.observations, batch.observe(), result):
        fields = {field.name: getattr(record, field.name) for field in attrs.fields(type(record))}
        assert type(record)(**fields) == record


def test_nobody_can_write_to_what_a_step_returned() -> None:
    """Every array is read-only; the batch can still write to its own."""
    batch = TownBatch(SPEC, worlds=2, seed=1, days=1)
    result = batch.step(ScriptedTeacher().act(batch.reset()))
    for name, array in arrays(result).items():
        assert not array.flags.writeable, name
    assert all(array.flags.writeable for array in batch._buffers)


def test_a_step_changes_nothing_that_was_returned_before_but_the_features() -> None:
    """Features are a view of the batch's buffer, as their record says; all other arrays stay as they were."""
    batch, teacher = TownBatch(SPEC, worlds=2, seed=1, days=1, ticks=12), ScriptedTeacher()
    seen = batch.reset()
    while True:
        result = batch.step(teacher.act(seen))
        kept = {name: array.copy() for name, array in arrays(result).items()}
        later = batch.reset() if result.over.all() else batch.step(teacher.act(result.observations)).observations
        changed = [name for name, array in arrays(result).items() if not np.array_equal(array, kept[name])]
        assert ["observations"] == changed
        if result.over.all():
            break
        seen = later


def test_the_end_of_an_episode_cuts_the_lives_that_last() -> None:
    """Truncated are, in worlds that are over, those who live and did not die in this decision."""
    batch, teacher = TownBatch(SPEC, worlds=3, seed=1, days=1, ticks=12), ScriptedTeacher()
    seen = batch.reset()
    batch._state.agents["hunger"][:, 0] = 0  # the first agent of each world starves soon
    batch._state.agents["starving"][:, 0] = scenario("small_town").life.faint_after - 8
    results = []
    for _ in range(2):
        results.append(batch.step(teacher.act(seen)))
        seen = results[-1].observations
    assert not results[0].truncations.any()
    assert results[1].over.all()
    assert results[1].terminations[:, 0].all()
    expected = results[1].observations.alive & ~results[1].terminations
    assert expected.tolist() == results[1].truncations.tolist()
    assert expected.any()
