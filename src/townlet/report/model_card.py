"""The model card of a policy, as the Hub lays it out: metadata in YAML, then what people read.

Every text of the card that comes from an environment, a schedule or a person is escaped (`townlet.report.markdown`),
and the metadata is dumped as YAML. The same policy, run and options give the same bytes.
"""

from collections.abc import Iterator, Sequence

from townlet.dto.guards import GuardReport
from townlet.dto.model_card import BUNDLE_FILES, CardOptions, CardPolicy, CardPromotion, CardRun, CardSection
from townlet.dto.policy import TrainingResult, statistics
from townlet.dto.policy_ref import NO_TEACHER, parse_teacher, short_ref
from townlet.dto.run_data import RunVisit
from townlet.numerals import number, plain_reason
from townlet.report.card_metadata import front_matter, place, policy_name
from townlet.report.limitations import limitation_sections
from townlet.report.markdown import bullets, code, markdown_text, table
from townlet.report.tables import evidence_rows
from townlet.report.verdicts import other_bound, verdict_sentence

__all__ = ["model_card"]


def model_card(
    policy: CardPolicy,
    run: CardRun | None,
    *,
    options: CardOptions,
    files: Sequence[str] = (),
    sections: Sequence[CardSection] = (),
) -> str:
    """Return the card of a policy in Markdown.

    `run` is what its run says of it; None for weights without a run, whose card says what is unknown. `files` are the
    names of the files beside the card; `sections` stand before the provenance.
    """
    lines = [
        "---",
        front_matter(policy, run, options).rstrip("\n"),
        "---",
        "",
        *_opening(policy, run),
        *_section("Intended use", _intended_use(run)),
        *_section("How to use", _how_to_use(files)),
        *_section("Form", _form(policy, run)),
        *_section("Training", _training(run)),
        *_section("Evaluation", _evaluation(run)),
        *_section("What could not be seen", _limits(run)),
    ]
    for section in sections:
        lines += _section(markdown_text(section.title), bullets(section.lines))
    lines += _section("Provenance", _provenance(policy, run))
    return "\n".join(lines) + "\n"


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    yield from lines


def _opening(policy: CardPolicy, run: CardRun | None) -> Iterator[str]:
    """Yield the title and what the policy is; the first line says where it was not promoted."""
    name = markdown_text(policy_name(policy, run))
    if run is None:
        yield f"# {name}: of unknown origin"
        yield from (
            "",
            "These weights came without a run: who made them, how, and how good they are, is not known here.",
        )
        return
    teacher = "without a teacher" if run.teacher == NO_TEACHER else f"from the scripted teacher {code(run.teacher)}"
    made = f"A policy for {code(place(run))}, learned {teacher} by the Townlet schedule {code(run.schedule)}."
    if run.rehearsal:
        yield f"# {name}: a rehearsal, not for use"
        yield from ("", f"{made} The run only rehearsed, with tiny numbers: none of the numbers below mean anything.")
    elif run.promotion is None:
        yield f"# {name}: a candidate that was not promoted"
        yield from ("", f"{made} Its run did not promote it: {markdown_text(plain_reason(run.ended))}.")
    else:
        yield f"# {name}"
        promotion = run.promotion
        yield from (
            "",
            f"{made} It was promoted to {code(f'{promotion.name}@{promotion.alias}')}, version {promotion.version}"
            f"{_replaced(run, promotion)}, at {markdown_text(promotion.at)}, on the verdicts below.",
        )


def _replaced(run: CardRun, promotion: CardPromotion) -> str:
    """Return what the policy takes the place of: the weights before it, else the script that it was compared with."""
    if promotion.replaced is not None:
        return f", instead of the weights {code(short_ref(promotion.replaced))}"
    policies = () if run.evidence is None else run.evidence.table.baselines.values()
    script = next((policy for policy in policies if parse_teacher(policy) is not None), None)
    return "" if script is None else f", instead of the script {code(script)}"


def _intended_use(run: CardRun | None) -> Iterator[str]:
    if run is None:
        yield "Not known. Compare it with a policy that you trust before you use it: `townlet evaluate`."
        return
    if run.rehearsal or run.promotion is None:
        yield "None but study: nobody promoted it. What follows says how far it came."
        return
    yield (
        f"To take the place of the policy that it was compared with, in {code(place(run))}, with the same "
        "observations, actions and episode lengths. It was not compared elsewhere: a change of the environment, of its "
        "scenarios or of what the observations mean needs a new run."
    )


def _how_to_use(files: Sequence[str]) -> Iterator[str]:
    """Yield how to act with it, and what each file is."""
    yield from (
        "```python",
        "import townlet",
        "",
        'policy = townlet.load_policy("FOLDER")  # the folder of this file',
        "action = policy.act(observation)",
        "```",
    )
    named = {name: what for name, what in BUNDLE_FILES.items() if name in files}
    if named:
        yield ""
        yield from (f"- {code(name)}: {what}" for name, what in named.items())


def _form(policy: CardPolicy, run: CardRun | None) -> Iterator[str]:
    hidden = " × ".join(map(str, policy.hidden)) or "no"
    yield (
        f"A feed-forward network of {hidden} hidden units (ReLU); the normaliser of the inputs is part of it. "
        f"Inputs: {len(policy.features):,}, outputs: {len(policy.outputs):,}."
    )
    yield ""
    yield f"- outputs: {_few(policy.outputs)}"
    yield f"- inputs: {_few(policy.features)}"
    signatures = dict.fromkeys(filter(None, [policy.signature, "" if run is None else run.signature]))
    yield f"- environment signature: {', '.join(map(code, signatures)) or 'not known'}"
    if run is not None:
        versions = (code(f"{name} {_shortened(version)}") for name, version in sorted(run.versions.items()))
        yield f"- versions: {', '.join(versions)}"


def _shortened(text: str, most: int = 40) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _few(names: Sequence[str], most: int = 24) -> str:
    """Return the first names, and how many more there are."""
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(map(code, names[:most]))}{rest}"


def _training(run: CardRun | None) -> Iterator[str]:
    if run is None:
        yield "Not known."
        return
    teacher = "none" if run.teacher == NO_TEACHER else f"{code(run.teacher)} (the scripted teacher)"
    yield f"Base model: {teacher}. Seed of the run: {run.seed}."
    if not run.training:
        yield from ("", "The weights were not made in this run: it was given them, and evaluated them.")
        return
    yield ""
    cells = (
        (
            f"{code(visit.state)} {visit.visit}",
            code(visit.strategy),
            "" if visit.result is None else f"{visit.result.agent_steps:,}",
            _figures(visit),
        )
        for visit in run.training
    )
    yield from table(("visit", "strategy", "agent-steps", "measured"), cells)


def _figures(visit: RunVisit) -> str:
    """Return the metrics of a visit's result; those that differ from one machine to the next are left out."""
    result: TrainingResult | None = visit.result
    if result is None:
        return ""
    values = ((name, getattr(result, name)) for name in statistics(type(result)) if not name.endswith("_per_second"))
    return ", ".join(f"{code(name)} {number(value)}" for name, value in values if value is not None)


def _evaluation(run: CardRun | None) -> Iterator[str]:
    if run is None:
        yield "Not known: no run compared these weights with anything."
        return
    if not run.evaluated:
        yield "None: its run ended before it was compared with anything."
        yield from bullets(run.problems)
        return
    if run.rehearsal:
        yield from ("**A rehearsal: the numbers below mean nothing.**", "")
    yield _how_evaluated(run)
    if run.evidence is not None:
        yield from ("", "Differences are candidate − baseline, with two-sided 95% intervals of each alone.", "")
        yield from table(
            ("KPI", "against", "policy", "baseline", "difference", "95% interval", "pairs"),
            map(_difference, evidence_rows(run.evidence.table)),
        )
    if run.guards:
        yield from ("", "The gate's verdicts, each with the confidence that the schedule demands of it:", "")
        yield from table(("guard", "verdict", "why"), map(_guard, run.guards))
    if run.edge:
        yield from ("", f"Edge taken: {markdown_text(plain_reason(run.edge))}.")
    if run.reservations or run.problems:
        yield from ("", "Reservations:", "")
        yield from bullets((*run.reservations, *run.problems))


def _how_evaluated(run: CardRun) -> str:
    """Return which episodes were played, and how often was looked, in one paragraph."""
    parts = [f"Evaluated in {code(run.evaluated)}"]
    if run.evidence is not None:
        found = run.evidence
        kind = "episodes that are not pairs" if found.table.unpaired else "paired episodes"
        parts.append(f"{found.table.looks[-1] if found.table.looks else 0} {kind} of {code(found.table.evidence)}")
        parts.append(f"look {run.looks} of {len(run.declared)}" if run.declared else f"{run.looks} looks")
        if run.confidence is not None:
            parts.append(f"confidence {number(100 * run.confidence)}% over the whole run")
        keys = f"seeds digest {code(run.seeds_sha256)}, evidence {code(found.digest)}"
        return f"{', '.join(parts)} ({keys})."
    return f"{parts[0]}, {run.looks} looks."


def _difference(row: tuple[str, ...]) -> tuple[str, ...]:
    """Return the cells of one KPI against one baseline."""
    metric, baseline, *means, interval, pairs = row
    return code(metric), code(baseline), *means, interval.strip("[]").replace(", ", " to "), pairs


def _guard(report: GuardReport) -> tuple[str, str, str]:
    """Return the cells of a verdict."""
    more = "; ".join(filter(None, [verdict_sentence(report), other_bound(report)]))
    return code(report.guard), report.verdict.value, markdown_text(more)


def _limits(run: CardRun | None) -> Iterator[str]:
    """Yield what the evidence could not show, as `townlet audit why` says it."""
    found = None if run is None else run.limitations
    if found is None or not found.visits:
        yield "Nothing was seen: there is no evidence whose limits could be told."
        return
    sections = [section for visit in found.visits for section in limitation_sections(found, visit)]
    for at, (heading, sentences) in enumerate(sections):
        yield from (*([""] if at else []), f"{markdown_text(heading)}:", "")
        yield from bullets(sentences)


def _provenance(policy: CardPolicy, run: CardRun | None) -> Iterator[str]:
    yield f"- weights: {code(policy.digest)}"
    if run is None:
        yield "- run: not known"
        return
    yield f"- run: {code(run.run)}"
    yield f"- schedule: {code(run.schedule)} (SHA-256 {code(run.schedule_sha256)})"
    if run.promotion is not None:
        yield f"- head of the journal at the promotion: {code(run.promotion.head)}"
    if run.statement is not None:
        for material in run.statement.predicate.materials:
            digest = material.digest.get("sha256", "")
            yield f"- {markdown_text(material.name)}: {' '.join(filter(None, [code(material.uri), code(digest)]))}"
        replaced = run.statement.predicate.replaced
        yield f"- replaced: {code(replaced) if replaced else 'nothing'}"
    yield (
        "- `townlet audit verify RUN` checks the journal behind these numbers, where the run is kept; a card alone "
        "proves nothing"
    )
