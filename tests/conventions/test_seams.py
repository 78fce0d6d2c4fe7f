"""No dict-shaped payload crosses the seam of a module: what travels is a record."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from places import importers

import townlet

FREE: Mapping[str, str] = {
    "townlet.canonical.check_line": "is a line of a hash chain, as it stands in the file",
    "townlet.canonical.seal_line": "is a line of a hash chain, as it stands in the file",
    **dict.fromkeys(
        ("townlet.dto.codec.Record.model_dump", "townlet.dto.actions.StoredActions.model_dump"),
        "is how a record becomes plain data",
    ),
    "townlet.api.run": "takes values of a schedule, whatever they are",
    "townlet.api.anneal": "takes values of a schedule, whatever they are",
    "townlet.env.info_tallies.InfoTallies.add": "reads what a foreign environment says",
    "townlet.env.info_tallies.world_info": "reads what a foreign environment says",
    "townlet.policy.compat.legacy.legacy_payload": "is for scripts that read dicts",
    "townlet.policy.compat.legacy.legacy_document": "is for scripts that read dicts",
    "townlet.policy.export.bundle.fits": "reads what spec.json holds",
    "townlet.policy.export.bundle.layout": "is what spec.json holds",
    "townlet.policy.export.inputs.features": "reads what spec.json holds",
    "townlet.policy.export.inputs.legal": "reads what spec.json holds",
    "townlet.policy.export.inputs.tensors": "stands in a bundle, where there is no Townlet",
    "townlet.machine.journal.result_codec.dump_result": "is how a result enters the journal",
    "townlet.machine.journal.result_codec.load_result": "is how a result leaves the journal",
    "townlet.machine.journal.semantic_hash.semantic_part": "is what the journal hashes",
    "townlet.machine.schedule.json_schema.schedule_schema": "is a JSON Schema",
    "townlet.machine.schedule.option_list.record_options": "reads a JSON Schema",
    **dict.fromkeys(
        (
            "townlet.dto.constraints.presence_schema",
            *(
                f"townlet.dto.constraints.{kind}.schema"
                for kind in ("Constraint", "Growing", "Items", "Limits", "Points", "Shares", "Text", "Widths")
            ),
        ),
        "is a part of a JSON Schema",
    ),
    "townlet.trackers.names.result_numbers": "reads a result as the journal holds it",
    "townlet.dto.provenance.Statement.layout": "is JSON under the names that in-toto gives its fields",
    "townlet.store.rundir.RunDirectory.create": "is what run.json holds, as it stands there",
    "townlet.store.rundir.RunDirectory.metadata": "is what run.json holds, as it stands there",
    "townlet.store.run_index.read_metadata": "is what run.json holds, as it stands there",
    "townlet.store.untrusted.read_json": "reads what nobody has checked yet",
    "townlet.store.untrusted.parse_json": "reads what nobody has checked yet",
}
"""Functions whose business is plain data, and why."""
ELSEWHERE = importers("torch", "gymnasium", "pettingzoo", "stable_baselines3")
"""What needs torch, and what speaks the words of foreign interfaces."""


def is_payload(kind: Any) -> bool:
    """Tell whether an annotation is a mapping of names to anything."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in (dict, Mapping):
        return True
    if origin in (dict, Mapping):
        return arguments[1] in (Any, object) or is_payload(arguments[1])
    if origin in (Union, UnionType, tuple, list):
        return any(is_payload(part) for part in arguments)
    return False


def functions() -> Iterator[tuple[str, Any]]:
    """Yield every public function and method of the package with its dotted name."""
    for module in pkgutil.walk_packages(townlet.__path__, "townlet."):
        if module.name in ELSEWHERE:
            continue
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.name:
                continue
            if inspect.isfunction(value):
                yield f"{module.name}.{name}", value
            elif inspect.isclass(value):
                for inner, method in vars(value).items():
                    plain = method.__func__ if isinstance(method, classmethod | staticmethod) else method
                    if inspect.isfunction(plain) and not inner.startswith("_"):
                        yield f"{module.name}.{name}.{inner}", plain


def payloads(function: Any) -> list[str]:
    """Return the parameters (and `return`) of a function that are dict-shaped."""
    try:
        hints = inspect.get_annotations(function, eval_str=True)
    except (NameError, TypeError):  # a name or a generic that only type checkers know; none of those is a mapping
        hints = {
            name: Mapping if isinstance(hint, str) and "[str, Any]" in hint else object
            for name, hint in inspect.get_annotations(function).items()
        }
    return [name for name, hint in hints.items() if is_payload(hint)]


def test_no_dict_shaped_payload_crosses_a_seam() -> None:
    """Every public signature; those that deal in plain data are named, with the reason."""
    found = {name: payloads(function) for name, function in functions()}
    assert {} == {name: names for name, names in found.items() if names and name not in FREE}


def test_nobody_is_excused_without_need() -> None:
    """Each excused function exists and is dict-shaped."""
    found = {name for name, function in functions() if payloads(function) or name.endswith("legacy_payload")}
    assert set() == set(FREE) - found
