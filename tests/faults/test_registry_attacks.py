"""Every attack on a registry is seen, by the command that reads an alias or by `registry verify`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import Town
from registry_attacks import ATTACKS, Attack, ask, forge_row, forge_row_and_lose_ledger, outside, plant_trigger

from townlet.canonical import canonical_json, seal_line
from townlet.errors import BadInputError

READERS = (
    ("registry", "list"),
    ("registry", "history"),
    ("registry", "show", "given@champion"),
    ("registry", "rollback", "given", "--reason", "r"),
    ("gc",),
)


def words(attack: Attack) -> str:
    """Return the attack in one line."""
    return str(attack.run.__doc__).removesuffix(".")


@pytest.mark.parametrize("attack", ATTACKS, ids=words)
def test_an_attack_is_seen(town: Town, attack: Attack, capfd: pytest.CaptureFixture[str]) -> None:
    """`registry verify` names it, exit code 5; where the cheap checks see it, every reader refuses in one sentence."""
    attack.run(town)
    head = ("--head", outside(town).read_text()) if outside(town).exists() else ()
    capfd.readouterr()

    if not attack.by_verify:
        assert 0 == ask(town, "registry", "verify")
    assert 5 == ask(town, "registry", "verify", *head)
    assert "Traceback" not in capfd.readouterr().err
    before = town.registry.ledger.path.read_bytes() if town.registry.ledger.path.is_file() else b""
    if attack.by_readers:
        for reader in READERS:
            assert 2 == ask(town, *reader), reader
            complaint = capfd.readouterr().err
            assert 1 == complaint.count("\n"), complaint
        assert before == (town.registry.ledger.path.read_bytes() if town.registry.ledger.path.is_file() else b"")


def test_a_sound_registry_is_clean_and_prints_its_heads(town: Town, capfd: pytest.CaptureFixture[str]) -> None:
    """The ledger's head and those of the journals; each head of the ledger stays valid as it grows."""
    assert 0 == ask(town, "registry", "verify", "--json")
    report = json.loads(capfd.readouterr().out)
    assert (2, 2, []) == (report["moves"], report["promotions"], report["problems"])
    assert 2 == len(report["heads"])
    assert 0 == ask(town, "registry", "rollback", "given", "--reason", "r")
    assert 0 == ask(town, "registry", "verify", "--head", report["head"])
    shown = capfd.readouterr().out
    assert f"ledger {town.registry.ledger.hashes()[-1]}" in shown
    assert all(f"run {run} {head}" in shown for run, head in report["heads"].items())


@pytest.mark.parametrize("attack", [forge_row, forge_row_and_lose_ledger, plant_trigger])
def test_a_run_refuses_a_forged_registry(town: Town, attack: Callable[[Town], None]) -> None:
    """The next run neither starts from a forged champion nor copies it into the ledger."""
    ledger = [entry.move.move for entry in town.registry.ledger.read()]
    attack(town)
    with pytest.raises(BadInputError, match=r"registry\.sqlite: "):
        town.walk("straight")
    if town.registry.ledger.path.exists():
        assert ledger == [entry.move.move for entry in town.registry.ledger.read()]


def test_a_rewritten_journal_differs_from_the_head_in_the_registry(
    town: Town, capfd: pytest.CaptureFixture[str]
) -> None:
    """All hashes of a journal are valid again, but the registry holds a head that is gone."""
    run = town.run(1)
    previous, rewritten = "0" * 64, []
    for line in run.journal.read_bytes().splitlines():
        data = json.loads(line)
        del data["hash"]
        data |= {"previous": previous, "at": data["at"].replace("2026", "2025")}
        sealed = seal_line(data)
        previous = sealed["hash"]
        rewritten.append(canonical_json(sealed))
    run.journal.write_bytes(b"\n".join(rewritten) + b"\n")
    run.head.write_bytes(canonical_json({**json.loads(run.head.read_bytes()), "hash": previous}))

    assert 5 == ask(town, "audit", "verify", run.id)
    assert "holds: the journal was written anew" in capfd.readouterr().err
    assert 5 == ask(town, "registry", "verify")


@pytest.mark.parametrize("attack", ATTACKS, ids=words)
def test_the_page_lists_every_attack(attack: Attack) -> None:
    """With who sees it."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "security.md"
    seen_by = "every command that reads an alias; `registry verify`" if attack.by_readers else "`registry verify"
    assert f"| {words(attack)} | {seen_by}" in page.read_text(encoding="utf-8")
