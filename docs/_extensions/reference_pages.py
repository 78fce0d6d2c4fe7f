"""Reference pages that are made from the code: `python docs/_extensions/reference_pages.py` writes them.

They are stored, so that a code forge shows them too; a test compares each with the code that it is made from.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from ruamel.yaml import YAML

import townlet
from townlet.dto import metrics, policy
from townlet.dto.codec import converter
from townlet.dto.evolution import disk_name, schema_version
from townlet.dto.fields import DIRECTION, HIGH, LOW, UNIT, field_docs, is_semantic
from townlet.dto.guards import GUARD_KINDS, GuardReport, GuardSpec
from townlet.dto.journal import RECORDS, SEMANTIC_KINDS
from townlet.errors import EXIT_CODES
from townlet.machine.schedule.json_schema import schedule_schema
from townlet.machine.schedule.option_list import StrategyOption, record_options, strategy_options
from townlet.policy.training.strategies.base import catalogue

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "townlet"
_MADE = "This page is generated from the code (`{}`) by `python docs/_extensions/reference_pages.py`."
_BUILT_IN = ("capture", "replay", "bc", "ppo", "evaluate", "promote", "rollback")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table and an empty line; a bar within a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines] + [""]


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").split()).replace("|", r"\|")


def _sentence(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")


def _type(annotation: Any) -> str:
    """Return a field's type as the source writes it, without the modules of its names."""
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)
    return f"`{re.sub(r'(?:[a-z_]+[.])+', '', text).replace('NoneType', 'None')}`"


def _field_rows(cls: type) -> Iterator[list[str]]:
    """Yield name, type, meaning and a place in the semantic hash of each field of a record."""
    docs = field_docs(cls)
    for field in attrs.fields(cls):
        yield [f"`{disk_name(field)}`", _type(field.type), docs[field.name], "yes" if is_semantic(field) else "no"]


_FIELDS = ("field", "type", "meaning", "in the semantic hash")


# The schedule ---------------------------------------------------------------------------------------------------------


def schedule_page() -> str:
    """Return docs/reference/schedule.md: every key of a schedule, and the options of every built-in strategy."""
    schema = schedule_schema({name: catalogue().entries[name].spec for name in _BUILT_IN})
    top = {key: schema[key] for key in ("properties", "required")}
    definitions = {**schema["definitions"], "ScheduleSpec": top}
    lines = [
        "# The schedule: every key",
        "",
        "A schedule is a YAML 1.2 file. Unknown keys, wrong types and values outside their bounds are refused, all of "
        "them at once, each with its line and column. `NAME` stands for a name of yours, `[]` for an item of a list. "
        "[The JSON Schema](schedule.schema.json) says the same to editors. " + _MADE.format("townlet.dto.schedule"),
        "",
    ]
    for path, record in _records_by_path(definitions):
        text = definitions[record].get("description", "The keys of the file itself.")
        lines += [f"## {f'`{path}`' if path else 'The file'}", "", text, ""]
        lines += _options_table(record_options(record, definitions))
    lines += ["## Guards", "", "[Guards](guards.md) has one section for each kind of guard.", ""]
    for name in _BUILT_IN:
        spec = catalogue().entries[name].spec
        lines += [f"## `with:` of {name}", "", _sentence(spec), "", *_options_table(strategy_options(spec))]
    return "\n".join(lines).rstrip() + "\n"


def _options_table(options: Sequence[StrategyOption]) -> list[str]:
    rows = (
        [f"`{o.name}`", o.type, "must be given" if o.default is None else f"`{o.default}`", o.bounds, o.meaning]
        for o in options
    )
    return table(("key", "value", "default", "bounds", "meaning"), rows)


def _records_by_path(definitions: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each record that a schedule holds with the path of its first place, guards and options left out."""
    queue, known = [("", "ScheduleSpec")], {"ScheduleSpec", "GuardSpec", "When"}
    while queue:
        path, record = queue.pop(0)
        yield path, record
        for key, schema in definitions[record]["properties"].items():
            for name in re.findall(r"'#/definitions/(\w+)'", str(schema)):
                if name not in known and "properties" in definitions[name] and not (record, key) == ("StateSpec", "with"):
                    known.add(name)
                    queue.append((f"{path}.{key}{_place(schema)}".lstrip("."), name))


def _place(schema: Mapping[str, Any]) -> str:
    return ".NAME" if "additionalProperties" in schema else "[]" if "items" in schema else ""


# Guards ---------------------------------------------------------------------------------------------------------------


def guards_page() -> str:
    """Return docs/reference/guards.md: every kind of guard with its keys and a shipped example, and the report."""
    definitions = schedule_schema({})["definitions"]
    lines = [
        "# Guards: every kind",
        "",
        "A guard compares a measurement with a limit, and its verdict decides an edge. Each guard of a schedule is of "
        "exactly one kind; the keys say which. [Evidence](evidence.md) has the statistics and the table of verdicts, "
        "[metrics](metrics.md) what can be asked for. " + _MADE.format("townlet.dto.guards"),
        "",
    ]
    for kind in GUARD_KINDS:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__.removesuffix("Spec")).capitalize()
        keys = ", ".join(f"`{tag}`" for tag in kind.TAGS)
        lines += [f"## {name}", "", _sentence(kind), ""]
        lines += [f"It has {'exactly one of ' if len(kind.TAGS) > 1 else ''}{keys}. For example:", ""]
        lines += ["```yaml", _example(kind), "```", "", *_options_table(record_options(kind.__name__, definitions))]
    lines += ["## The distances and shares within", ""]
    for record in ("MarginSpec", "ShareLimitSpec", "ShareMarginSpec"):
        text = definitions[record]["description"]
        lines += [f"### {record}", "", text, "", *_options_table(record_options(record, definitions))]
    lines += ["## The report on a guard", "", _sentence(GuardReport), "", *table(_FIELDS, _field_rows(GuardReport))]
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


# Metrics and results --------------------------------------------------------------------------------------------------


def metrics_page() -> str:
    """Return docs/reference/metrics.md: what guards can ask of each strategy, with unit, direction and range."""
    lines = [
        "# Metrics: what a guard can ask for, with units",
        "",
        "A guard names a metric as `STATE.NAME`, where STATE is a state of the schedule; the strategy that it runs "
        "decides which names there are. *Better* is the direction in which it improves; `check` refuses a limit that "
        "no value in the range can reach. " + _MADE.format("townlet.dto.policy"),
        "",
    ]
    for name in _BUILT_IN:
        result = catalogue().entries[name].result
        fields = policy.statistics(result)
        if fields:
            docs = field_docs(result)
            rows = ([f"`{key}`", *_scale(field.metadata), docs[key]] for key, field in fields.items())
            lines += [f"## {name}", "", _sentence(result), ""]
            lines += table(("metric", "unit", "better", "range", "meaning"), rows)
    lines += [
        "## evaluate",
        "",
        "An evaluate state measures the KPIs that the environment declares, each with its own unit, direction and "
        "exposure: of the town [these](town.md#kpis-of-small-town), of an environment of Gymnasium or PettingZoo "
        "`return_per_episode`, `episode_length` and what `environment.metrics` reads from its infos "
        "([environments](environment.md)). The record of a KPI:",
        "",
        *table(("field", "type", "meaning"), (row[:3] for row in _field_rows(metrics.MetricSpec))),
        "## Units",
        "",
        *table(("unit", "meaning"), _UNITS),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _scale(metadata: Mapping[str, Any]) -> list[str]:
    low, high = metadata[LOW], metadata[HIGH]
    bounds = f"{'−∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'}"
    return [metadata[UNIT], str(metadata[DIRECTION]), "any" if low is high is None else bounds]


_UNITS = (
    ("1", "a number without a unit"),
    ("fraction, share", "0 to 1"),
    ("nat", "natural logarithms of probabilities: entropy, KL divergence, negative log-likelihood"),
    ("agent-steps", "one agent slot's decision: worlds × slots × decisions, masked ones included"),
    ("1/agent-day", "a rate per agent slot and simulated day, dead time included, so that dying is never cheap"),
    ("1/agent-step", "a mean per decision of an agent slot"),
    ("1/s", "a speed: it differs between equal runs and is no part of the semantic hash"),
    ("episodes, decisions, updates, conflicts", "counts"),
)


def results_page() -> str:
    """Return docs/reference/results.md: the records that strategies and runs answer with."""
    lines = [
        "# Results: what strategies and runs answer with",
        "",
        "Every result is a frozen record; `model_dump()` gives it as plain data. A field outside the semantic hash may "
        "differ between two runs that did the same (times, paths, speeds). The first table holds what every result "
        "has. " + _MADE.format("townlet.dto.policy"),
        "",
    ]
    shared = {field.name for field in attrs.fields(policy.TrainingResult)}
    for cls in _RESULTS:
        own = cls is policy.TrainingResult or not issubclass(cls, policy.TrainingResult)
        rows = (row for row in _field_rows(cls) if own or row[0].strip("`") not in shared)
        lines += [f"## {cls.__name__}", "", _sentence(cls), "", *table(_FIELDS, rows)]
    return "\n".join(lines).rstrip() + "\n"


_RESULTS: tuple[Any, ...] = (
    *(policy.TrainingResult, policy.CaptureResult, policy.BCTrainingResult, policy.PPOTrainingResult),
    *(policy.ReplayResult, policy.EvaluationResult, metrics.Measurement, metrics.InvalidValues),
    *(policy.PromotionResult, policy.RollbackResult, policy.AnnealStageResult, policy.AnnealSummary),
)


# Journal and errors ---------------------------------------------------------------------------------------------------


def records_page() -> str:
    """Return docs/reference/journal_records.md: every kind of record of the journal, field by field."""
    lines = [
        "# The journal: every record",
        "",
        "[The journal](journal.md) says how a line is made and hashed. Here is the `body` of each kind, in the order "
        "in which a run may write them. " + _MADE.format("townlet.dto.journal"),
        "",
    ]
    for record in _records():
        hashed = record.kind in SEMANTIC_KINDS
        lines += [f"## `{record.kind}`", "", _sentence(record), ""]
        if hashed:
            lines += [f"Version {schema_version(record)}; in the semantic hash.", ""]
            lines += table(_FIELDS, _field_rows(record))
        else:
            lines += [f"Version {schema_version(record)}; no part of the semantic hash.", ""]
            lines += table(_FIELDS[:3], (row[:3] for row in _field_rows(record)))
    return "\n".join(lines).rstrip() + "\n"


def _records() -> Sequence[Any]:
    return tuple(RECORDS.values()) if isinstance(RECORDS, Mapping) else tuple(RECORDS)


def errors_page() -> str:
    """Return docs/reference/errors.md: every class of errors below `TownletError`, with its exit code."""
    lines = [
        "# Errors and exit codes",
        "",
        "Every error that a user can meet is a `townlet.TownletError`; its message says where, what was found, what "
        "was expected, and what to do. The command line prints the message without a traceback and ends with the exit "
        "code of its class. " + _MADE.format("townlet.errors"),
        "",
        "## Exit codes",
        "",
        *table(("code", "meaning"), ([str(code), meaning] for code, meaning in EXIT_CODES.items())),
        "## Classes",
        "",
        "A name in bold is public (`townlet.NAME`). *Is a* names the class to catch for the whole family.",
        "",
    ]
    classes = _error_classes()
    rows = (
        [f"**`{name}`**" if name in townlet.__all__ else f"`{name}`", f"`{base}`" if base != "Exception" else "", code]
        + [sentence, f"`{file}`"]
        for name, (base, code, sentence, file) in classes.items()
    )
    lines += table(("class", "is a", "exit code", "meaning", "in `src/townlet/`"), rows)
    return "\n".join(lines).rstrip() + "\n"


def _error_classes() -> dict[str, tuple[str, str, str, str]]:
    """Return base, exit code, sentence and file of each class of errors, read from the sources, parents first."""
    files = sorted(SOURCES.rglob("*.py"), key=lambda path: (path.name != "errors.py", str(path)))
    nodes = [
        (node, path.relative_to(SOURCES).as_posix())
        for path in files
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
    found: dict[str, tuple[str, str, str, str]] = {}
    size = -1
    while size != len(found):
        size = len(found)
        for node, file in nodes:
            base = next((b.id for b in node.bases if isinstance(b, ast.Name) and b.id in found), "")
            if node.name not in found and (base or node.name == "TownletError"):
                sentence = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
                found[node.name] = (base or "Exception", _exit_code(node, found, base), sentence, file)
    return found


def _exit_code(node: ast.ClassDef, found: Mapping[str, tuple[str, str, str, str]], base: str) -> str:
    """Return the exit code that a class states, else its base's."""
    for statement in node.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        value = getattr(statement, "value", None)
        if isinstance(target, ast.Name) and target.id == "exit_code" and isinstance(value, ast.Constant):
            return str(value.value)
    return found[base][1]


# The Python interface -------------------------------------------------------------------------------------------------


def api_page() -> str:
    """Return docs/reference/api.md: the public names, which Sphinx documents from their docstrings."""
    lines = [
        "# The Python interface: every public name",
        "",
        "These are the names of `dir(townlet)`; everything else is internal and may change. [From Python](python.md) "
        "shows how they are used. The documentation site puts signature and docstring in the place of each block "
        "below; in Python `help(townlet.NAME)` prints the same. " + _MADE.format("townlet.__all__"),
        "",
    ]
    names = [name for name in townlet.__all__ if not name.startswith("__")]
    for heading, chosen in _API.items():
        lines += [f"## {heading}", ""]
        for name in sorted(filter(chosen, names), key=str.lower):
            directive, module = _directive(name)
            lines += ["```{eval-rst}", f".. {directive}:: {module}.{name}", "```", ""]
        names = [name for name in names if not chosen(name)]
    return "\n".join(lines).rstrip() + "\n"


def _directive(name: str) -> tuple[str, str]:
    value = getattr(townlet, name)
    kind = "autoexception" if inspect.isclass(value) and issubclass(value, Exception) else "autoclass"
    return (kind if inspect.isclass(value) else "autofunction"), value.__module__


_API: dict[str, Callable[[str], bool]] = {
    "Calls": lambda name: name.islower(),
    "What they return": lambda name: name in {"AnnealResult", "AnnealSummary", "Policy", "RunData", "ScheduleSpec"},
    "Errors": lambda name: name.endswith("Error"),
    "Environments and teachers": lambda name: True,
}

PAGES: dict[str, Callable[[], str]] = {
    "api": api_page,
    "errors": errors_page,
    "guards": guards_page,
    "journal_records": records_page,
    "metrics": metrics_page,
    "results": results_page,
    "schedule": schedule_page,
}
"""Name of each page in docs/reference, and the function that makes it."""


def path_of(name: str) -> Path:
    """Return where a page is stored."""
    return ROOT / "docs" / "reference" / f"{name}.md"


if __name__ == "__main__":
    for page, make in PAGES.items():
        path_of(page).write_text(make(), encoding="utf-8")
