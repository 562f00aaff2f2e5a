"""Make and read the certificates of a Talos cluster; PEM text in, PEM text out.

Templates follow what Talos itself issues (talos-api 3, 4.9; talos-config-rules 10, 11). Ed25519
keys leave with Talos's own label `ED25519 PRIVATE KEY`, which OpenSSL does not know: use
`relabel` before handing one to a TLS library. Never reads a clock or a file: `now` is seconds since the epoch. Neighbours:
`secretsbundle` keeps the authorities, `identity` asks for client certificates.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.base.errors import EngineError

KeyKind = Literal["ed25519", "p256", "rsa4096"]
PrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

AUTHORITY_TTL_S: Final = 87600 * 3600
YEAR_S: Final = 8760 * 3600
DAY_S: Final = 24 * 3600

_TALOS_LABEL: Final = "ED25519 PRIVATE KEY"
_PKCS8_LABEL: Final = "PRIVATE KEY"


class CertificateError(EngineError):
    """A certificate or key text cannot be used; the message says which part, never its content."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM text. The key is kept out of `repr`."""

    crt: str
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a certificate says of itself; times in seconds since the epoch."""

    common_name: str
    organizations: tuple[str, ...]
    not_before: float
    not_after: float
    client: bool
    server: bool


def make_authority(kind: KeyKind, organization: str, *, now: float, ttl_s: float = AUTHORITY_TTL_S) -> Pair:
    """A self-signed authority as Talos makes one; an empty `organization` gives an empty subject."""
    key = _new_key(kind)
    subject = _subject("", (organization,) if organization else ())
    builder = _builder(subject, subject, key, now, ttl_s)
    builder = builder.add_extension(_key_usage(sign=True), critical=True)
    builder = builder.add_extension(_extended(server=True, client=True), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    return Pair(_certificate_pem(builder.sign(key, _digest(key))), _key_pem(key))


def issue(
    authority: Pair,
    *,
    now: float,
    ttl_s: float,
    common_name: str = "",
    organizations: Sequence[str] = (),
    server: bool = False,
    client: bool = False,
    addresses: Iterable[str] = (),
    names: Iterable[str] = (),
    encipherment: bool = False,
) -> Pair:
    """A leaf signed by `authority`; its key is of the authority's kind.

    `organizations` form one multi-valued part of the subject, duplicates and blanks dropped.
    `server` and `client` choose the extended usages, `addresses` (IP texts) and `names` (DNS)
    the alternative names. Raises CertificateError when the authority cannot be read or an
    address is none.
    """
    issuer, issuer_key = _certificate(authority.crt), _private_key(authority.key)
    key = _new_key(_kind(issuer_key))
    builder = _builder(_subject(common_name, organizations), issuer.subject, key, now, ttl_s)
    builder = builder.add_extension(_key_usage(encipherment=encipherment), critical=True)
    builder = builder.add_extension(_extended(server=server, client=client), critical=False)
    builder = builder.add_extension(_authority_identifier(issuer), critical=False)
    alternatives = _alternatives(addresses, names)
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Pair(_certificate_pem(builder.sign(issuer_key, _digest(issuer_key))), _key_pem(key))


def issue_server_certificate(
    authority: Pair,
    *,
    addresses: Iterable[str],
    names: Sequence[str] = (),
    now: float,
    ttl_s: float = DAY_S,
) -> Pair:
    """What apid presents: signed by the OS authority, valid a day (talos-api 2.1)."""
    name = names[0] if names else ""
    return issue(
        authority, now=now, ttl_s=ttl_s, common_name=name, server=True, addresses=addresses, names=names
    )


def maintenance_certificate(
    *, addresses: Iterable[str], names: Sequence[str] = (), now: float
) -> tuple[Pair, Pair]:
    """What a node in maintenance mode presents: (a one-off Ed25519 authority, its server leaf)."""
    authority = make_authority("ed25519", "talos", now=now)
    return authority, issue_server_certificate(authority, addresses=addresses, names=names, now=now)


def make_service_account_key(*, elliptic: bool = False) -> str:
    """The key that signs service account tokens: RSA-4096, or P-256 for contracts up to 1.6."""
    return _key_pem(_new_key("p256" if elliptic else "rsa4096"))


def facts(certificate: str) -> Facts:
    """Read a certificate's subject, times and extended usages. Raises CertificateError."""
    crt = _certificate(certificate)
    usages = set(_usages(crt))
    return Facts(
        common_name="".join(_texts(crt.subject, NameOID.COMMON_NAME)[:1]),
        organizations=tuple(_texts(crt.subject, NameOID.ORGANIZATION_NAME)),
        not_before=crt.not_valid_before_utc.timestamp(),
        not_after=crt.not_valid_after_utc.timestamp(),
        client=ExtendedKeyUsageOID.CLIENT_AUTH in usages,
        server=ExtendedKeyUsageOID.SERVER_AUTH in usages,
    )


def signed_by(certificate: str, authority: str) -> bool:
    """Whether `authority` issued `certificate`, by name and by signature. Raises CertificateError."""
    try:
        _certificate(certificate).verify_directly_issued_by(_certificate(authority))
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def belongs(certificate: str, key: str) -> bool:
    """Whether `key` is the private key of `certificate`. Raises CertificateError."""
    return _spki(_certificate(certificate).public_key()) == _spki(_private_key(key).public_key())


def spki_fingerprint(certificate: str | bytes) -> str:
    """Base64 of SHA-256 over the SubjectPublicKeyInfo, as a node's console shows it; PEM text or DER."""
    crt = _der(certificate) if isinstance(certificate, bytes) else _certificate(certificate)
    return base64.b64encode(hashlib.sha256(_spki(crt.public_key())).digest()).decode()


def relabel(key: str) -> str:
    """The same key under the label that OpenSSL reads: `PRIVATE KEY`."""
    return key.replace(_TALOS_LABEL, _PKCS8_LABEL)


def check_certificate(text: str) -> None:
    """Raises CertificateError unless `text` is a certificate."""
    _certificate(text)


def check_key(text: str) -> None:
    """Raises CertificateError unless `text` is a private key of a kind that Talos knows."""
    _private_key(text)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, now: float, ttl_s: float
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(int(now), UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        # Talos draws serials below 2^128; the library's own are 159 bits.
        .serial_number(x509.random_serial_number() >> 32)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(seconds=int(ttl_s)))
    )


def _subject(common_name: str, organizations: Sequence[str]) -> x509.Name:
    kept = dict.fromkeys(name.strip() for name in organizations if name.strip())
    parts: list[x509.RelativeDistinguishedName] = []
    if kept:
        values = (x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in kept)
        parts.append(x509.RelativeDistinguishedName(values))
    if common_name:
        name = x509.NameAttribute(NameOID.COMMON_NAME, common_name)
        parts.append(x509.RelativeDistinguishedName([name]))
    return x509.Name(parts)


def _key_usage(*, sign: bool = False, encipherment: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=encipherment,
        key_cert_sign=sign,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _extended(*, server: bool, client: bool) -> x509.ExtendedKeyUsage:
    usages = [ExtendedKeyUsageOID.SERVER_AUTH] * server + [ExtendedKeyUsageOID.CLIENT_AUTH] * client
    return x509.ExtendedKeyUsage(usages)


def _authority_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    try:
        own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        own = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _alternatives(addresses: Iterable[str], names: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    for address in addresses:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError as error:
            raise CertificateError(f"{address!r} is not an IP address") from error
    return found


def _usages(crt: x509.Certificate) -> Iterable[x509.ObjectIdentifier]:
    try:
        return crt.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()


def _texts(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]


def _new_key(kind: KeyKind) -> PrivateKey:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=4096)


def _kind(key: PrivateKey) -> KeyKind:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    return "p256" if isinstance(key, ec.EllipticCurvePrivateKey) else "rsa4096"


def _digest(key: PrivateKey) -> hashes.SHA256 | hashes.SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    return hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else hashes.SHA512()


def _certificate(text: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise CertificateError("this is not a PEM certificate") from error


def _der(data: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise CertificateError("this is not a DER certificate") from error


def _private_key(text: str) -> PrivateKey:
    try:
        # Proving the primes of an RSA-4096 key takes 0.2 s and says nothing that matters here.
        key = serialization.load_pem_private_key(
            relabel(text).encode(), password=None, unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise CertificateError("this is not an unencrypted PEM private key") from error
    if isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return key
    raise CertificateError("the key is of a kind that Talos does not use (Ed25519, ECDSA or RSA expected)")


def _certificate_pem(crt: x509.Certificate) -> str:
    return crt.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: PrivateKey) -> str:
    ours = isinstance(key, ed25519.Ed25519PrivateKey)
    form = serialization.PrivateFormat.PKCS8 if ours else serialization.PrivateFormat.TraditionalOpenSSL
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    return text.replace(_PKCS8_LABEL, _TALOS_LABEL) if ours else text


def _spki(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
