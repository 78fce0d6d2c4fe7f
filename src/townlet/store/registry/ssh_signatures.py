"""OpenSSH's public keys and signatures, Ed25519 only: what `ssh-keygen -Y sign -n townlet` writes is read as it is.

A signature file is PROTOCOL.sshsig of OpenSSH: the signed bytes are ``SSHSIG``, the namespace, nothing, the name of a
hash, and the hash of the message. The namespace keeps a signature made for another purpose from counting here.
"""

import base64
import binascii
import struct
from collections.abc import Iterator, Sequence
from hashlib import new, sha256
from pathlib import Path
from typing import Any

from attrs import frozen

from townlet.errors import BadInputError
from townlet.store.untrusted import decode_text

__all__ = ["PublicKey", "read_signers", "require_library", "sign", "verify"]

NAMESPACE = b"townlet"
"""What signatures are made for."""
_KIND = b"ssh-ed25519"
_MAGIC = b"SSHSIG"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_HASHES = {b"sha512": "sha512", b"sha256": "sha256"}


@frozen(kw_only=True)
class PublicKey:
    """One Ed25519 key that may sign."""

    raw: bytes
    """The 32 bytes of the key."""
    comment: str = ""
    """Whose it is, as the file says."""

    @property
    def blob(self) -> bytes:
        """The key as OpenSSH encodes it."""
        return _string(_KIND) + _string(self.raw)

    @property
    def fingerprint(self) -> str:
        """``SHA256:…``, as `ssh-keygen -l` prints it."""
        return f"SHA256:{base64.b64encode(sha256(self.blob).digest()).decode().rstrip('=')}"

    @property
    def line(self) -> str:
        """The key as a line of a file: ``ssh-ed25519 BASE64 COMMENT``."""
        return f"{_KIND.decode()} {base64.b64encode(self.blob).decode()} {self.comment}".rstrip()


def read_signers(data: bytes, source: str) -> tuple[PublicKey, ...]:
    """Return the keys of a file of public keys or of `allowed_signers` lines; BadInputError naming the unfit line."""
    keys = []
    for number, line in enumerate(decode_text(data, source).splitlines(), start=1):
        words = line.split()
        if words and not words[0].startswith("#"):
            keys.append(_read_key(words, f"{source}:{number}"))
    if not keys:
        raise BadInputError(f"{source}: holds no key; expected OpenSSH public keys, one a line")
    return tuple(keys)


def _read_key(words: Sequence[str], where: str) -> PublicKey:
    kinds = [index for index, word in enumerate(words) if word.startswith(("ssh-", "ecdsa-", "sk-"))]
    index = kinds[0] if kinds else -1
    if index < 0 or words[index] != _KIND.decode() or index + 1 >= len(words):
        found = words[index] if kinds else "no kind of key"
        raise BadInputError(
            f"{where}: {found[:40]}; expected ssh-ed25519 and the key (ssh-keygen -t ed25519 makes one)"
        )
    try:
        kind, raw = _strings(base64.b64decode(words[index + 1], validate=True), 2)
    except (ValueError, binascii.Error) as error:
        raise BadInputError(f"{where}: not a public key of OpenSSH; copy the line of the .pub file") from error
    if kind != _KIND or len(raw) != 32:
        raise BadInputError(f"{where}: not an Ed25519 key; make one with: ssh-keygen -t ed25519")
    principal = words[0] if index else ""
    return PublicKey(raw=raw, comment=" ".join(words[index + 2 :]) or principal)


def sign(message: bytes, key: Path, passphrase: bytes | None) -> str:
    """Return an armoured signature of a message by an OpenSSH private key.

    BadInputError where the file is no Ed25519 key, is open to others, or needs another passphrase.
    """
    serialization, ed25519, _ = require_library()
    if key.is_file() and key.stat().st_mode & 0o077:
        raise BadInputError(f"{key}: others may read this private key; close it with: chmod 600 {key}")
    try:
        private = serialization.load_ssh_private_key(key.read_bytes(), passphrase)
    except (ValueError, TypeError, ImportError) as error:
        raise BadInputError(f"{key}: cannot be used ({error}); expected an Ed25519 private key of OpenSSH") from error
    except Exception as error:  # cryptography has kinds of its own for formats that it does not read
        raise BadInputError(f"{key}: cannot be used ({type(error).__name__}); expected an OpenSSH key") from error
    if not isinstance(private, ed25519.Ed25519PrivateKey):
        raise BadInputError(f"{key}: not an Ed25519 key; make one with: ssh-keygen -t ed25519")
    public = PublicKey(raw=private.public_key().public_bytes_raw())
    signature = _string(_KIND) + _string(private.sign(_signed_bytes(message, b"sha512")))
    parts = (public.blob, NAMESPACE, b"", b"sha512", signature)
    blob = _MAGIC + struct.pack(">I", 1) + b"".join(_string(part) for part in parts)
    text = base64.b64encode(blob).decode()
    return "\n".join([_BEGIN, *(text[i : i + 70] for i in range(0, len(text), 70)), _END, ""])


def verify(message: bytes, armoured: str, signers: Sequence[PublicKey]) -> PublicKey:
    """Return the signer whose key made a signature of a message; BadInputError, in one sentence, where none did."""
    _, ed25519, invalid = require_library()
    raw, hash_name, signature = _parse(armoured)
    signer = next((key for key in signers if key.raw == raw), None)
    if signer is None:
        names = ", ".join(f"{key.fingerprint} {key.comment}".rstrip() for key in signers)
        raise BadInputError(f"signed by {PublicKey(raw=raw).fingerprint}, who may not sign; expected one of: {names}")
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(raw).verify(signature, _signed_bytes(message, hash_name))
    except invalid as error:
        raise BadInputError(f"the signature of {signer.fingerprint} is of another statement, or was changed") from error
    return signer


def _parse(armoured: str) -> tuple[bytes, bytes, bytes]:
    """Return the public key, the name of the hash and the 64 bytes of a signature file."""
    lines = [line.strip() for line in armoured.strip().splitlines()]
    try:
        if lines[:1] != [_BEGIN] or lines[-1:] != [_END]:
            raise ValueError("no SSH SIGNATURE block")
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
        if blob[:6] != _MAGIC or blob[6:10] != struct.pack(">I", 1):
            raise ValueError("another format")
        public, namespace, _, hash_name, wrapped = _strings(blob[10:], 5)
        kind, raw = _strings(public, 2)
        kind_again, signature = _strings(wrapped, 2)
    except (ValueError, binascii.Error, struct.error) as error:
        raise BadInputError(f"not a signature of OpenSSH ({error}); make one with townlet sign") from error
    if (kind, kind_again) != (_KIND, _KIND) or len(raw) != 32 or len(signature) != 64:
        raise BadInputError("not an Ed25519 signature; sign with a key of ssh-keygen -t ed25519")
    if namespace != NAMESPACE:
        raise BadInputError(f"a signature for {namespace.decode('ascii', 'replace')!r}, expected one for 'townlet'")
    if hash_name not in _HASHES:
        raise BadInputError(f"a signature over {hash_name[:20]!r}, expected sha512 or sha256")
    return raw, hash_name, signature


def _signed_bytes(message: bytes, hash_name: bytes) -> bytes:
    digest = new(_HASHES[hash_name], message).digest()
    return _MAGIC + b"".join(_string(part) for part in (NAMESPACE, b"", hash_name, digest))


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _strings(data: bytes, count: int) -> list[bytes]:
    """Return the strings that SSH's encoding holds, exactly `count`; ValueError for anything else."""
    strings = list(_split(data))
    if len(strings) != count:
        raise ValueError(f"{len(strings)} fields, expected {count}")
    return strings


def _split(data: bytes) -> Iterator[bytes]:
    while data:
        if len(data) < 4:
            raise ValueError("cut off")
        (size,) = struct.unpack(">I", data[:4])
        if len(data) < 4 + size:
            raise ValueError("cut off")
        yield data[4 : 4 + size]
        data = data[4 + size :]


def require_library() -> tuple[Any, Any, Any]:
    """Return what is used of the library; BadInputError naming the extra where it is not installed."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise BadInputError(
            "signatures need the library cryptography, which is not installed; install it with: "
            "pip install 'townlet[signing]'"
        ) from error
    return serialization, ed25519, InvalidSignature
