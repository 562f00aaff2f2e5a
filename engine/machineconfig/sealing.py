"""Encrypt the keys of a cluster for a place that others read too, and open what was encrypted.

Both ways give a file of the format age, version 1 (age-encryption.org/v1), which the tool `age` opens without
us. Recipients are the library's work. A passphrase is ours, for the library takes a GiB of memory for it: scrypt here
takes 32 MiB, so a passphrase has to be a long random one. Never logs, never names a secret in an error. `random`
gives random bytes. Neighbour: the capability `store.put.secret`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from engine.base.errors import EngineError

SHORTEST_PASSPHRASE: Final = 20

_WORK: Final = 15
_MOST_WORK: Final = 20
_R: Final = 8
_CHUNK: Final = 65536
_TAG: Final = 16
_INTRO: Final = b"age-encryption.org/v1"
_HEADER: Final = re.compile(
    rb"(age-encryption\.org/v1\n-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n([A-Za-z0-9+/]{43})\n---)"
    rb" ([A-Za-z0-9+/]{43})\n"
)


class SealingError(EngineError):
    """It cannot be encrypted or opened; the message says why and holds no secret."""


def seal_for(data: bytes, recipients: Sequence[str]) -> bytes:
    """Encrypted so that each of the recipients can open it: `age1...` or a line of an SSH public key."""
    library = _library()
    known = []
    for number, text in enumerate(recipients, 1):
        kind = library.ssh if text.startswith("ssh-") else library.x25519
        try:
            known.append(kind.Recipient.from_str(text))
        except library.RecipientError:
            raise SealingError(
                f"recipient {number} is no age recipient; it begins with age1 or ssh-"
            ) from None
    if not known:
        raise SealingError("there is no recipient")
    sealed: bytes = library.encrypt(data, known)
    return sealed


def open_by(sealed: bytes, identities: Sequence[str]) -> bytes:
    """What was sealed for one of these identities (`AGE-SECRET-KEY-1...` or an SSH private key)."""
    library = _library()
    known = []
    for number, text in enumerate(identities, 1):
        try:
            if text.startswith("-----BEGIN"):
                known.append(library.ssh.Identity.from_buffer(text.encode()))
            else:
                known.append(library.x25519.Identity.from_str(text.strip()))
        except library.IdentityError:
            raise SealingError(f"identity {number} is no age identity") from None
    try:
        data: bytes = library.decrypt(sealed, known)
        return data
    except library.DecryptError:
        raise SealingError("none of the identities opens it, or it is damaged") from None


def seal_with(data: bytes, passphrase: str, random: Callable[[int], bytes]) -> bytes:
    """Encrypted with a passphrase; raises SealingError when it is too short to protect anything."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise SealingError(
            f"the passphrase has fewer than {SHORTEST_PASSPHRASE} characters; make a random one"
        )
    key, salt, nonce = random(16), random(16), random(16)
    wrapped = ChaCha20Poly1305(_stretched(passphrase, salt, _WORK)).encrypt(bytes(12), key, None)
    header = b"%s\n-> scrypt %s %d\n%s\n---" % (_INTRO, _text(salt), _WORK, _text(wrapped))
    cipher = ChaCha20Poly1305(_derived(key, nonce, b"payload"))
    pieces = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)] or [b""]
    sealed = [
        cipher.encrypt(_counted(number, last=number == len(pieces) - 1), piece, None)
        for number, piece in enumerate(pieces)
    ]
    return b"%s %s\n%s" % (header, _text(_mac(key, header)), nonce + b"".join(sealed))


def open_with(sealed: bytes, passphrase: str) -> bytes:
    """What was sealed with this passphrase, by us or by `age --passphrase`."""
    found = _HEADER.match(sealed)
    if found is None:
        raise SealingError("it is no file that age encrypted with a passphrase")
    header, salt, work, wrapped, mac = found.groups()
    if int(work) > _MOST_WORK:
        raise SealingError(f"its passphrase takes too much work, 2^{int(work)}")
    try:
        wrap = ChaCha20Poly1305(_stretched(passphrase, _bytes(salt), int(work)))
        key = wrap.decrypt(bytes(12), _bytes(wrapped), None)
    except InvalidTag:
        raise SealingError("the passphrase is not the one that it was encrypted with") from None
    if not hmac.compare_digest(_mac(key, header), _bytes(mac)):
        raise SealingError("its header is damaged")
    rest = sealed[found.end() :]
    cipher = ChaCha20Poly1305(_derived(key, rest[:16], b"payload"))
    step = _CHUNK + _TAG
    pieces = [rest[start : start + step] for start in range(16, len(rest), step)]
    try:
        return b"".join(
            cipher.decrypt(_counted(number, last=number == len(pieces) - 1), piece, None)
            for number, piece in enumerate(pieces or [b""])
        )
    except InvalidTag:
        raise SealingError("it is damaged or cut") from None


def _library() -> Any:
    try:
        import pyrage
    except ImportError:
        text = "age recipients need the library pyrage; install talos-operator[age]"
        raise SealingError(text) from None
    return pyrage


def _stretched(passphrase: str, salt: bytes, work: int) -> bytes:
    cost = 1 << work
    salted = _INTRO + b"/scrypt" + salt
    memory = 128 * _R * (cost + 2) + (1 << 20)
    return hashlib.scrypt(passphrase.encode(), salt=salted, n=cost, r=_R, p=1, maxmem=memory, dklen=32)


def _derived(key: bytes, salt: bytes, use: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869), 32 bytes."""
    extracted = hmac.digest(salt or bytes(32), key, "sha256")
    return hmac.digest(extracted, use + b"\x01", "sha256")


def _mac(key: bytes, header: bytes) -> bytes:
    return hmac.digest(_derived(key, b"", b"header"), header, "sha256")


def _counted(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise SealingError("its header is damaged") from None
