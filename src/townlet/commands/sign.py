"""`townlet sign`: sign a request to move an alias, on a machine that needs nothing but the request and the key."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from townlet.errors import BadInputError

__all__ = ["sign"]

_LIMIT = 2**16


def sign(
    request: Annotated[Path, Parameter(help="The request: signature_request.json of a held run, or of a rollback.")],
    *,
    key: Annotated[Path, Parameter(help="OpenSSH private key, Ed25519.")],
    out: Annotated[Path | None, Parameter(help="File of the signature; by default REQUEST.sig.")] = None,
) -> int:
    """Sign a request to move an alias; `ssh-keygen -Y sign -n townlet -f KEY REQUEST` makes the same file."""
    from townlet.dto.codec import structure
    from townlet.dto.registry import MoveStatement
    from townlet.report import outcome, terminal
    from townlet.store.files import write_atomic
    from townlet.store.registry.signing import message_of
    from townlet.store.registry.ssh_signatures import sign as make_signature
    from townlet.store.untrusted import read_regular

    message = read_regular(request, _LIMIT)
    try:
        statement = structure(json.loads(message), MoveStatement)
    except (ValueError, BadInputError) as error:
        raise BadInputError(f"{request}: not a request to move an alias ({error})") from error
    if message_of(statement) != message:
        raise BadInputError(f"{request}: changed since it was written; take the request as the run wrote it")
    terminal.show("\n".join(outcome.statement_lines(statement)))
    signature = make_signature(message, key, _passphrase(key))
    target = request.with_name(f"{request.name}.sig") if out is None else out
    write_atomic(target, signature.encode())
    terminal.show(f"signature {target}")
    return 0


def _passphrase(key: Path) -> bytes | None:
    """Ask for the passphrase of a key that has one, on the terminal; it never stands on a command line."""
    import base64
    import sys
    from getpass import getpass

    from townlet.store.untrusted import read_regular

    lines = read_regular(key, _LIMIT).splitlines()
    try:
        blob = base64.b64decode(b"".join(lines[1:-1]))
    except ValueError:
        return None  # the library says what is wrong with it
    if b"none" in blob[:40]:
        return None
    if not sys.stdin.isatty():
        raise BadInputError(
            f"{key}: the key has a passphrase, and there is no terminal to ask for it; use ssh-agent with: "
            f"ssh-keygen -Y sign -n townlet -f {key}.pub REQUEST"
        )
    return getpass(f"passphrase of {key}: ").encode()
