"""`townlet card`: the model card of a policy."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from townlet.commands.arguments import HOME, AllowImport, Home, License, PolicyWord

if TYPE_CHECKING:
    from townlet.dto.model_card import CardOptions, CardSection
    from townlet.policy.training.card_sources import LearnedSource

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
    from townlet.policy.training.card_sources import find_learned
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.store.files import write_atomic

    if out is not None and out.exists():
        raise BadInputError(f"{out} exists already; name another file with --out, or remove it")
    options = CardOptions(license=license, base_model=base_model)
    text = card_text(find_learned(policy, home, catalogue()), options, allow_import=allow_import)
    if out is None:
        terminal.show_plain(text)
    else:
        write_atomic(out, text.encode())
        terminal.show(f"wrote {out}")
    return 0


def card_text(
    source: "LearnedSource",
    options: "CardOptions",
    *,
    allow_import: Sequence[str] = (),
    files: Sequence[str] = (),
    sections: Sequence["CardSection"] = (),
) -> str:
    """Return the model card of learned weights.

    `files` are the names of the files beside the card, `sections` what other parts of an export add.
    """
    from townlet.imports import Imports
    from townlet.machine.audit.card_facts import card_facts
    from townlet.policy.training.card_sources import card_policy
    from townlet.ports import provider
    from townlet.report.model_card import model_card

    imports, facts = Imports(tuple(allow_import)), None
    if source.run is not None:
        facts = card_facts(source.run, source.digest, lambda spec: provider(spec, imports).describe(spec.scenario))
    form = card_policy(source.weights, source.digest)
    return model_card(form, facts, options=options, files=files, sections=sections)
