"""Who may talk to the API: its own CA, server certificate, bearer token, and the kubeconfig for clients.

Everything lies in the directory with mode 0600, ECDSA P-256 throughout; made once and kept, but for the
server certificate, which is renewed on a start within its last 30 days. Neighbours: `server`.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import os
import secrets
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.standalone.failures import StandaloneError

_YEARS = dt.timedelta(days=3650)
_RENEW = dt.timedelta(days=30)
_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


@dataclass(frozen=True, slots=True)
class Credentials:
    """`authority` is the CA certificate as PEM; `context` serves TLS with the certificate it signed."""

    authority: bytes
    context: ssl.SSLContext
    token: str = field(repr=False)


def credentials(directory: Path) -> Credentials:
    """Read or make the credentials of a directory. OSError when it cannot be written."""
    token_file = directory / "token"
    if not token_file.exists():
        write_private(token_file, secrets.token_urlsafe(32).encode())
    ca_file, ca_key_file = directory / "ca.crt", directory / "ca.key"
    if not (ca_file.exists() and ca_key_file.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(ca_key_file, _pem(key))
        write_private(ca_file, _sign("standalone-ca", key.public_key(), "standalone-ca", key, authority=True))
    _server_certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(directory / "server.crt", directory / "server.key")
    return Credentials(ca_file.read_bytes(), context, token_file.read_text(encoding="utf-8").strip())


def write_kubeconfig(path: Path, held: Credentials, port: int) -> None:
    """Write the file that kubectl and the engine connect with."""
    cluster = {
        "server": f"https://127.0.0.1:{port}",
        "certificate-authority-data": base64.b64encode(held.authority).decode(),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "standalone",
        "clusters": [{"name": "standalone", "cluster": cluster}],
        "users": [{"name": "standalone", "user": {"token": held.token}}],
        "contexts": [
            {
                "name": "standalone",
                "context": {"cluster": "standalone", "user": "standalone", "namespace": "default"},
            }
        ],
    }
    write_private(path, yaml.safe_dump(config, sort_keys=False).encode())


def last_port(kubeconfig: Path) -> int:
    """The port that an earlier run wrote into its kubeconfig, 0 when there is none."""
    try:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        return int(config["clusters"][0]["cluster"]["server"].rpartition(":")[2])
    except (OSError, ValueError, TypeError, LookupError, yaml.YAMLError):
        return 0


def write_private(path: Path, data: bytes) -> None:
    """Replace a file as a whole; only its owner can read it, at no moment anyone else."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _server_certificate(directory: Path) -> None:
    certificate, key_file = directory / "server.crt", directory / "server.key"
    if certificate.exists() and key_file.exists():
        until = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
        if until - _RENEW > dt.datetime.now(dt.UTC):
            return
    authority = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    if not isinstance(authority, ec.EllipticCurvePrivateKey):
        raise StandaloneError(
            f"{directory / 'ca.key'} holds no ECDSA key; move it away to have a new one made"
        )
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(key_file, _pem(key))
    write_private(
        certificate, _sign("standalone", key.public_key(), "standalone-ca", authority, authority=False)
    )


def _sign(
    subject: str,
    public: ec.EllipticCurvePublicKey,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> bytes:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _YEARS)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(_usage(authority=authority), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(_alternatives()), critical=False)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _alternatives() -> Sequence[x509.GeneralName]:
    return [*(x509.DNSName(name) for name in _NAMES), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
