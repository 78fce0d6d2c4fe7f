"""The reference pages on schedules and guards, from the records that a schedule is read into."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markdown_tables import BUILT_IN, FIELDS, MADE, ROOT, field_rows, first_sentence, table
from ruamel.yaml import YAML

from townlet.dto.codec import converter
from townlet.dto.guards import GUARD_KINDS, GuardReport, GuardSpec
from townlet.machine.schedule.json_schema import schedule_schema
from townlet.machine.schedule.option_list import StrategyOption, record_options, strategy_options
from townlet.policy.training.strategies.base import catalogue

__all__ = ["guards_page", "schedule_page"]


def schedule_page() -> str:
    """Return docs/reference/schedule.md: every key of a schedule, and the options of every built-in strategy."""
    schema = schedule_schema({name: catalogue().entries[name].spec for name in BUILT_IN})
    top = {key: schema[key] for key in ("properties", "required")}
    definitions = {**schema["definitions"], "ScheduleSpec": top}
    lines = [
        "# The schedule: every key",
        "",
        "A schedule is a YAML 1.2 file. Unknown keys, wrong types and values outside their bounds are refused, all of "
        "them at once, each with its line and column. `NAME` stands for a name of yours, `[]` for an item of a list. "
        "[The JSON Schema](schedule.schema.json) says the same to editors. " + MADE.format("townlet.dto.schedule"),
        "",
    ]
    for path, record in _records_by_path(definitions):
        text = definitions[record].get("description", "The keys of the file itself.")
        lines += [f"## {f'`{path}`' if path else 'The file'}", "", text, ""]
        lines += _options_table(record_options(record, definitions))
    lines += ["## Guards", "", "[Guards](guards.md) has one section for each kind of guard.", ""]
    for name in BUILT_IN:
        spec = catalogue().entries[name].spec
        lines += [f"## `with:` of {name}", "", first_sentence(spec), "", *_options_table(strategy_options(spec))]
    return "\n".join(lines).rstrip() + "\n"


def _options_table(options: Sequence[StrategyOption]) -> list[str]:
    rows = (
        [f"`{o.name}`", o.meaning, o.type, "must be given" if o.default is None else f"`{o.default}`", o.bounds]
        for o in options
    )
    return table(("key", "meaning", "value", "default", "bounds"), rows)


def _records_by_path(definitions: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each record that a schedule holds with the path of its first place, guards and options left out."""
    queue, known = [("", "ScheduleSpec")], {"ScheduleSpec", "GuardSpec", "When"}
    while queue:
        path, record = queue.pop(0)
        yield path, record
        for key, schema in definitions[record]["properties"].items():
            for name in re.findall(r"'#/definitions/(\w+)'", str(schema)):
                if name not in known and "properties" in definitions[name] and key != "with":
                    known.add(name)
                    queue.append((f"{path}.{key}{_place(schema)}".lstrip("."), name))


def _place(schema: Mapping[str, Any]) -> str:
    return ".NAME" if "additionalProperties" in schema else "[]" if "items" in schema else ""


def guards_page() -> str:
    """Return docs/reference/guards.md: every kind of guard with its keys and a shipped example, and the report."""
    definitions = schedule_schema({})["definitions"]
    lines = [
        "# Guards: every kind",
        "",
        "A guard compares a measurement with a limit, and its verdict decides an edge. Each guard of a schedule is of "
        "exactly one kind; the keys say which. [Evidence](evidence.md) has the statistics and the table of verdicts, "
        "[metrics](metrics.md) what can be asked for. " + MADE.format("townlet.dto.guards"),
        "",
    ]
    for kind in GUARD_KINDS:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__.removesuffix("Spec")).capitalize()
        keys = ", ".join(f"`{tag}`" for tag in kind.TAGS)
        lines += [f"## {name}", "", first_sentence(kind), ""]
        lines += [f"It has {'exactly one of ' if len(kind.TAGS) > 1 else ''}{keys}. For example:", ""]
        lines += ["```yaml", _example(kind), "```", "", *_options_table(record_options(kind.__name__, definitions))]
    lines += ["## The distances and shares within", ""]
    for record in ("MarginSpec", "ShareLimitSpec", "ShareMarginSpec"):
        text = definitions[record]["description"]
        lines += [f"### {record}", "", text, "", *_options_table(record_options(record, definitions))]
    lines += ["## The report on a guard", "", first_sentence(GuardReport), "", *table(FIELDS, field_rows(GuardReport))]
    return "\n".join(lines).rstrip() + "\n"


def _example(kind: type[GuardSpec]) -> str:
    """Return the first guard of this kind in a shipped schedule, as the file writes it."""
    for file in sorted((ROOT / "schedules").glob("*.yaml"), key=lambda path: (path.stem != "quickstart", path.stem)):
        text = file.read_text(encoding="utf-8")
        document = YAML(typ="rt", pure=True).load(text)
        for name, guard in document.get("guards", {}).items():
            if type(converter.structure(_plain(guard), GuardSpec)) is kind:
                line = text.splitlines()[document["guards"].lc.key(name)[0]]
                return f"guards:\n  {re.sub(r': +', ': ', line.strip(), count=1)}"
    return _EXAMPLES[kind.__name__]


_EXAMPLES = {
    "BetweenSpec": "guards:\n  entropy_in_range: {metric: ppo.entropy, between: [0.05, 1.5]}",
}
"""Where no shipped schedule has a guard of that kind."""


def _plain(value: Any) -> Any:
    """Return a YAML value as the loader hands it to the codec."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, float) else int(value) if type(value).__name__ == "ScalarInt" else value
