"""`townlet card`: the model card of a policy."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, License, PolicyWord

if TYPE_CHECKING:
    from townlet.dto.model_card import CardOptions, CardSection

__all__ = ["card", "card_text"]


def card(
    policy: PolicyWord,
    *,
    license: License = "unknown",  # noqa: A002  (the Hub's word)
    base_model: Annotated[str, Parameter(help="Repository of the Hub, USER/NAME, that holds the teacher.")] = "",
    out: Annotated[Path | None, Parameter(help="File to write; a file that exists is kept.")] = None,
    allow_import: AllowImport = (),
    home: Home = HOME,
) -> int:
    """Print the model card of a policy: what it is, how it was made, what the gate found and could not see."""
    from townlet.dto.model_card import CardOptions
    from townlet.errors import BadInputError
    from townlet.report import terminal
    from townlet.store.files import write_atomic

    if out is not None and out.exists():
        raise BadInputError(f"{out} exists already; name another file with --out, or remove it")
    options = CardOptions(license=license, base_model=base_model)
    text = card_text(policy, home, options, allow_import=allow_import)
    if out is None:
        terminal.show_plain(text)
    else:
        write_atomic(out, text.encode())
        terminal.show(f"wrote {out}")
    return 0


def card_text(
    policy: str,
    home: Path,
    options: "CardOptions",
    *,
    allow_import: Sequence[str] = (),
    files: Sequence[str] = (),
    sections: Sequence["CardSection"] = (),
) -> str:
    """Return the model card of what `policy` names on the command line.

    `files` are the names of the files beside the card, `sections` what other parts of an export add. BadInputError for
    a scripted policy: a card speaks of weights.
    """
    from townlet.errors import BadInputError
    from townlet.imports import Imports
    from townlet.machine.audit.card_facts import card_facts
    from townlet.policy.model.weights import read_weights
    from townlet.policy.training.card_sources import card_policy, run_of_policy
    from townlet.policy.training.policy_references import resolve
    from townlet.policy.training.strategies.base import catalogue
    from townlet.ports import provider
    from townlet.report.model_card import model_card

    known, imports = catalogue(), Imports(tuple(allow_import))
    reference = resolve(policy, home, known)
    if reference.teacher is not None:
        raise BadInputError(f"{policy!r} is a script; a model card speaks of learned weights")
    run = run_of_policy(policy, reference.digest, home, known)
    facts = (
        None
        if run is None
        else card_facts(run, reference.digest, lambda spec: provider(spec, imports).describe(spec.scenario))
    )
    form = card_policy(read_weights(reference.weights, reference.source), reference.digest)
    return model_card(form, facts, options=options, files=files, sections=sections)
