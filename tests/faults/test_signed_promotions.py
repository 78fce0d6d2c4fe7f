"""Promotions that must be signed: from the request to the verified registry, and what is refused on the way."""

import codecs
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric import rsa
from signed_homes import Home, make_key

from townlet.cli import run_command
from townlet.dto.registry import LedgerEntry
from townlet.errors import BadInputError, HoldError
from townlet.store.registry.ledger import lines


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return an empty home, the key of ada, who may sign, and that of eve, who may not."""
    for name in ("ada", "eve"):
        make_key(tmp_path / name)
    return Home(tmp_path)


def test_a_promotion_is_signed_from_the_request_to_the_verified_registry(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """Held, signed elsewhere, brought, promoted; registry, journal and history say who signed."""
    orchestrator = home.begin("straight")
    assert home.registry.champion("given", "champion") is None
    elsewhere = home.folder / "elsewhere.json"
    shutil.copy(home.run.signature_request, elsewhere)
    signature = home.sign(request=elsewhere)
    assert "promote given@champion to the weights" in capsys.readouterr().out
    assert 0 == home.approve(signature)
    assert "ada@example.org" in capsys.readouterr().out
    assert orchestrator.resume().champion_moved

    (entry,) = home.registry.ledger.read()
    assert entry.signed is not None
    assert ("ada@example.org", 0) == (entry.signed.signer, entry.signed.statement.after)
    for words in (("registry", "verify"), ("audit", "verify", "latest"), ("registry", "history", "--json")):
        assert 0 == home.ask(*words)
    capsys.readouterr()
    assert 0 == home.ask("registry", "show", "given@champion")
    assert f"signed by  {entry.signed.key} ada@example.org" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
def test_a_signature_of_ssh_keygen_counts(home: Home) -> None:
    """So that agents and keys with a passphrase can be used."""
    orchestrator = home.begin("straight")
    request = home.run.signature_request
    command = ["ssh-keygen", "-Y", "sign", "-f", str(home.folder / "ada"), "-n", "townlet", str(request)]
    subprocess.run(command, check=True, capture_output=True)
    assert 0 == home.approve(request.with_name(f"{request.name}.sig"))
    assert orchestrator.resume().champion_moved


def test_a_byte_order_mark_changes_no_key_and_no_signature(home: Home) -> None:
    """Some editors put one before a text."""
    keys = home.folder / "ada.pub"
    keys.write_bytes(codecs.BOM_UTF8 + keys.read_bytes())
    orchestrator = home.begin("straight")
    signature = home.sign()
    signature.write_bytes(codecs.BOM_UTF8 + signature.read_bytes())
    assert 0 == home.approve(signature)
    assert orchestrator.resume().champion_moved


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
def test_ssh_keygen_verifies_what_townlet_signed(home: Home) -> None:
    """Both directions: nobody needs Townlet to check a signature."""
    home.begin("straight")
    signature = home.sign()
    allowed = home.folder / "allowed_signers"
    allowed.write_text(f"ada {(home.folder / 'ada.pub').read_text()}")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", "ada", "-n", "townlet", "-s", str(signature)]
    done = subprocess.run(command, input=home.run.signature_request.read_bytes(), check=False, capture_output=True)
    assert 0 == done.returncode, done.stderr


def other_key(home: Home) -> Path:
    """Eve signs the request."""
    return home.sign("eve")


def other_statement(home: Home) -> Path:
    """Ada signed another target."""
    statement = json.loads(home.run.signature_request.read_bytes()) | {"target": "0" * 64}
    request = home.folder / "other.json"
    request.write_bytes(json.dumps(statement, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    return home.sign(request=request)


def cut_off(home: Home) -> Path:
    """Half of a signature."""
    signature = home.sign()
    signature.write_bytes(signature.read_bytes()[:150])
    return signature


def changed(home: Home) -> Path:
    """One character of a signature is another one."""
    signature = home.sign()
    text = signature.read_text()
    index = text.rindex("=") - 12 if "=" in text else len(text) - 60
    signature.write_text(text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :])
    return signature


def nothing(home: Home) -> Path:
    """A file without a signature."""
    path = home.folder / "nothing.sig"
    path.write_text("approved, ada\n")
    return path


def other_purpose(home: Home) -> Path:
    """Ada signed the same bytes for git."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("OpenSSH is not installed")
    request = home.folder / "request"
    shutil.copy(home.run.signature_request, request)
    command = ["ssh-keygen", "-Y", "sign", "-f", str(home.folder / "ada"), "-n", "git", str(request)]
    subprocess.run(command, check=True, capture_output=True)
    return request.with_name("request.sig")


def other_run(home: Home) -> Path:
    """Ada signed the request of an earlier run, for the same weights."""
    signature = home.sign()
    home.begin("straight")
    return signature


FORGERIES = [other_key, other_statement, cut_off, changed, nothing, other_purpose, other_run]


@pytest.mark.parametrize("forge", FORGERIES)
def test_a_forged_signature_is_refused_and_the_run_goes_on_waiting(
    forge: Callable[[Home], Path], home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused at once, in one sentence; slipped past the command, it holds the run again; the right one counts."""
    orchestrator = home.begin("straight")
    forged = forge(home)
    capsys.readouterr()
    assert 2 == home.approve(forged)
    assert capsys.readouterr().err.startswith("error: ")
    assert home.registry.champion("given", "champion") is None

    from townlet.dto.journal import OperatorCommand
    from townlet.machine.engine.inbox import send

    text = forged.read_text(errors="replace")
    send(home.run.inbox, OperatorCommand(command="retry", actor="eve", arguments={"signature": text}))
    summary = orchestrator.resume()
    assert "hold" == summary.state
    assert "does not count" in summary.reason
    assert home.registry.champion("given", "champion") is None

    assert 0 == home.approve(home.sign())
    assert orchestrator.resume().champion_moved


@pytest.mark.parametrize("forge", FORGERIES)
def test_the_page_lists_every_forgery(forge: Callable[[Home], Path]) -> None:
    """In the words of its function."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "security.md"
    assert f"| {(forge.__doc__ or '').rstrip('.')} |" in page.read_text(encoding="utf-8")


def test_a_schedule_that_names_no_signers_cannot_move_a_signed_alias(home: Home) -> None:
    """The demand lives in the registry: the run waits for those who could sign before."""
    home.promote("slow")
    orchestrator = home.begin("straight", signers=None)
    assert 2 == home.approve(home.sign("eve"))
    assert 0 == home.approve(home.sign("ada"))
    assert orchestrator.resume().champion_moved
    assert 0 == home.ask("registry", "verify")


def test_only_a_signer_in_force_can_hand_over_to_other_signers(home: Home) -> None:
    """A schedule that names eve does not make her one; ada's signature over her name does."""
    home.promote("slow")
    orchestrator = home.begin("straight", signers="eve.pub")
    assert 2 == home.approve(home.sign("eve"))
    assert 0 == home.approve(home.sign("ada"))
    assert orchestrator.resume().champion_moved
    assert ["eve@example.org"] == [line.split()[-1] for line in home.registry.signers("given", "champion")]


def test_a_rollback_of_a_signed_alias_is_signed_too(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a signature the command writes the request and exits with 3; an old signature counts once."""
    home.promote("slow")
    home.promote("straight")
    words = ("registry", "rollback", "given", "--reason", "queues grew")
    assert 3 == home.ask(*words)
    assert "sign" in capsys.readouterr().err
    request = home.path / "rollback_request.json"
    assert 2 == home.ask(*words, "--signature", str(home.sign("eve", request)))
    signature = home.sign("ada", request)
    assert 2 == home.ask(*words[:-1], "another reason", "--signature", str(signature))
    assert 0 == home.ask(*words, "--signature", str(signature))
    assert 0 == home.ask("registry", "verify")
    home.promote("straight")
    assert 2 == home.ask(*words, "--signature", str(signature))


def test_the_signature_of_an_undone_promotion_does_not_count_again(home: Home) -> None:
    """A promotion that was rolled back is not repeated by its old signature."""
    home.promote("slow")
    home.promote("straight")
    old = home.run.signature_request.with_name("signature_request.json.sig")
    request = home.path / "rollback_request.json"
    words = ("registry", "rollback", "given", "--reason", "queues grew")
    assert 3 == home.ask(*words)
    assert 0 == home.ask(*words, "--signature", str(home.sign("ada", request)))
    home.begin("straight")
    assert 2 == home.approve(old)


def rewritten(home: Home, change: Callable[[LedgerEntry], LedgerEntry]) -> None:
    """Change the last line of the ledger and hash everything anew, as somebody who owns the files can."""
    *before, last = home.registry.ledger.read()
    home.registry.ledger.path.write_bytes(lines((*before, change(last))))


@pytest.mark.parametrize("attack", ["stripped", "of the move before", "another statement"])
def test_a_ledger_that_was_hashed_anew_without_its_signature_is_refused_by_every_reader(
    attack: str, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readers, verify and the next run answer with one sentence."""
    home.promote("slow")
    home.promote("straight")
    first = home.registry.ledger.read()[0]

    def change(entry: LedgerEntry) -> LedgerEntry:
        assert entry.signed is not None
        if attack == "stripped":
            return evolve(entry, signed=None)
        if attack == "of the move before":
            return evolve(entry, signed=first.signed)
        statement = evolve(entry.signed.statement, signers=((home.folder / "eve.pub").read_text().strip(),))
        return evolve(entry, signed=evolve(entry.signed, statement=statement))

    rewritten(home, change)
    for words in (("registry", "list"), ("registry", "history"), ("registry", "show", "given@champion")):
        assert 2 == home.ask(*words)
    assert 5 == home.ask("registry", "verify")
    capsys.readouterr()
    with pytest.raises(BadInputError, match=r"signed|signature"):
        home.orchestrator("slow").run()


def test_a_process_that_dies_between_signature_and_move_promotes_when_it_is_resumed(home: Home) -> None:
    """The signature stands in the journal: nobody has to sign again."""
    orchestrator = home.begin("straight")
    assert 0 == home.approve(home.sign())

    class KilledError(BaseException):
        """The process dies."""

    def die(entry: object) -> None:
        if entry.record.kind == "visit_started":  # type: ignore[attr-defined]
            raise KilledError

    dying = home.orchestrator("straight")
    dying.listen = die
    with pytest.raises(KilledError):
        dying.resume()
    home.sign().unlink()
    assert orchestrator.resume().champion_moved


def test_keys_of_other_kinds_and_open_keys_are_refused(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """RSA among the signers is found by check; a private key that others may read signs nothing."""
    make_key(home.folder / "old", rsa.generate_private_key(65537, 2048))
    with pytest.raises(BadInputError, match="expected ssh-ed25519"):
        home.orchestrator("straight", signers="old.pub").run()
    with pytest.raises(BadInputError, match=r"cannot read 'gone\.pub'"):
        home.orchestrator("straight", signers="gone.pub").run()
    home.begin("straight")
    request = str(home.run.signature_request)
    assert 2 == run_command(["sign", request, "--key", str(home.folder / "old")])
    (home.folder / "ada").chmod(0o644)
    assert 2 == run_command(["sign", request, "--key", str(home.folder / "ada")])
    assert "chmod 600" in capsys.readouterr().err
    (home.folder / "noise").write_bytes(b"noise")
    (home.folder / "noise").chmod(0o600)
    assert 2 == run_command(["sign", request, "--key", str(home.folder / "noise")])
    assert 2 == run_command(["sign", str(home.folder / "noise"), "--key", str(home.folder / "ada")])


def test_a_promotion_that_needs_no_signature_takes_none(home: Home) -> None:
    """Approve --signature on another run says so."""
    summary = home.orchestrator("straight", signers=None).run()
    assert summary.champion_moved
    assert 2 == home.ask("approve", "latest", "--signature", str(home.folder / "ada.pub"))


def test_hold_errors_are_what_a_missing_signature_raises(home: Home) -> None:
    """The registry itself refuses an unsigned move of a signed alias, whoever calls it."""
    home.promote("slow")
    with pytest.raises((BadInputError, HoldError), match="is not signed"):
        home.registry.promote(
            "given",
            "champion",
            target="0" * 64,
            expected=home.registry.history()[-1].weights,
            evidence=None,
            run="eve",
            head="0" * 64,
            metadata={},
        )
    assert 1 == len(home.registry.history())


def test_without_the_library_a_run_that_names_signers_is_refused_and_others_run(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the extra."""
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(BadInputError, match=r"townlet\[signing\]"):
        home.orchestrator("straight").run()
    assert home.orchestrator("straight", signers=None).run().champion_moved


def test_a_lost_registry_comes_back_with_its_signatures(home: Home) -> None:
    """From the journals: the demand is not lost with the ledger."""
    home.promote("slow")
    home.promote("straight")
    before = home.registry.ledger.read()
    home.registry.path.unlink()
    home.registry.ledger.path.unlink()
    assert 0 == home.ask("registry", "rebuild", "--accept-loss")
    assert [entry.signed for entry in before] == [entry.signed for entry in home.registry.ledger.read()]
    assert 0 == home.ask("registry", "verify")
