"""Records are frozen and speak."""

import importlib
import inspect
import pkgutil

import attrs
import pytest

import townlet.dto
from townlet.dto.codec import Record
from townlet.dto.fields import field_docs

MODULES = [
    importlib.import_module(f"townlet.dto.{module.name}") for module in pkgutil.iter_modules(townlet.dto.__path__)
]
RECORDS = sorted(
    {
        cls
        for module in MODULES
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if attrs.has(cls) and cls.__module__ == module.__name__
    },
    key=lambda cls: f"{cls.__module__}.{cls.__qualname__}",
)


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__qualname__)
def test_every_field_has_a_docstring(cls: type) -> None:
    """What stands under a field feeds the help, the schema and the reference; none is missing."""
    docs = field_docs(cls)

    assert [] == [field.name for field in attrs.fields(cls) if not docs.get(field.name, "").strip()]
    assert (cls.__doc__ or "").strip()


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__qualname__)
def test_every_record_is_frozen(cls: type) -> None:
    """No field of a record can be set after it was built."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cls.__setattr__(object(), "anything", 1)  # what a record's assignment calls; an abstract one has no instance


@pytest.mark.parametrize("cls", [cls for cls in RECORDS if issubclass(cls, Record)], ids=lambda cls: cls.__qualname__)
def test_every_field_is_named_where_a_record_is_built(cls: type) -> None:
    """Records take keywords only, so that a field added later never shifts another."""
    assert [] == [field.name for field in attrs.fields(cls) if not field.kw_only]


def test_only_the_boundary_speaks_of_dtos() -> None:
    """The suffix belongs to the four records of the environment's boundary."""
    expected = ["ObservationBatchDTO", "RewardBreakdownDTO", "RolloutFrameDTO", "TelemetryEventDTO"]

    assert expected == sorted(cls.__name__ for cls in RECORDS if cls.__name__.endswith("DTO"))
