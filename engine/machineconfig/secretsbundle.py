"""The secrets of one cluster: keys, authorities and tokens, as `talosctl gen secrets` writes them.

Promises: a bundle that parses is complete and its PEM parts can be read (talos-api 3, talos-config-rules
12); the text form round-trips. Texts never appear in `repr` or errors. Never draws randomness of
its own beyond key generation: the caller gives `token_bytes`. Neighbours: `certificates`, `generate`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from engine.machineconfig import certificates
from engine.machineconfig.certificates import CertificateError, Pair
from engine.machineconfig.config import load_plain
from engine.machineconfig.emit import write
from engine.machineconfig.errors import ConfigError

_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, repr=False)
class SecretsBundle:
    """All secrets of a cluster; certificates and keys as PEM text.

    Exactly one of `secretbox` and `aescbc` is set in bundles that Talos makes; `aescbc` only in
    those of contract 1.2 and older.
    """

    cluster_id: str
    cluster_secret: str
    bootstrap_token: str
    secretbox: str
    aescbc: str
    trustd_token: str
    etcd: Pair
    kubernetes: Pair
    aggregator: Pair
    service_account: str
    os: Pair

    def text(self) -> str:
        """The YAML form of `talosctl gen secrets`."""
        secrets = {
            "bootstraptoken": self.bootstrap_token,
            "secretboxencryptionsecret": self.secretbox,
            "aescbcencryptionsecret": self.aescbc,
        }
        return write(
            {
                "cluster": {"id": self.cluster_id, "secret": self.cluster_secret},
                "secrets": {key: value for key, value in secrets.items() if value},
                "trustdinfo": {"token": self.trustd_token},
                "certs": {
                    "etcd": encoded(self.etcd),
                    "k8s": encoded(self.kubernetes),
                    "k8saggregator": encoded(self.aggregator),
                    "k8sserviceaccount": {"key": encode_pem(self.service_account)},
                    "os": encoded(self.os),
                },
            }
        )


def generate(now: float, token_bytes: Callable[[int], bytes]) -> SecretsBundle:
    """A new bundle. `token_bytes(n)` gives n random bytes; makes five keys, one of them RSA-4096."""

    def secret(encode: Callable[[bytes], bytes]) -> str:
        return encode(token_bytes(32)).decode()

    return SecretsBundle(
        cluster_id=secret(base64.urlsafe_b64encode),
        cluster_secret=secret(base64.b64encode),
        bootstrap_token=_token(token_bytes),
        secretbox=secret(base64.b64encode),
        aescbc="",
        trustd_token=_token(token_bytes),
        etcd=certificates.make_authority("p256", "etcd", now=now),
        kubernetes=certificates.make_authority("p256", "kubernetes", now=now),
        aggregator=certificates.make_authority("p256", "", now=now),
        service_account=certificates.make_service_account_key(),
        os=certificates.make_authority("ed25519", "talos", now=now),
    )


@lru_cache(maxsize=128)
def parse(text: str) -> SecretsBundle:
    """The bundle of a text, kept by it. Raises ConfigError naming every part that is missing or unreadable."""
    documents = load_plain(text)
    if len(documents) != 1 or not isinstance(documents[0], Mapping):
        raise ConfigError("Invalid", "a secrets bundle is one YAML mapping")
    return _checked(_from_parts(documents[0]))


def check_fit(text: str, now: float) -> None:
    """Raises ConfigError for a bundle that Talos would take and no cluster can live with: an authority that has
    expired, or one whose key is that of another certificate. `now` is seconds since the epoch.
    """
    for path, ends, matches in _authorities(text):
        if not matches:
            raise ConfigError("Invalid", "the key is not that of the certificate", path=path)
        if ends <= now:
            day = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%d")
            raise ConfigError("Invalid", f"the authority expired on {day}", path=path)


@lru_cache(maxsize=128)
def _authorities(text: str) -> tuple[tuple[str, float, bool], ...]:
    """(part, end of validity, whether the key belongs to it) of each authority."""
    bundle = parse(text)
    pairs = {
        "etcd": bundle.etcd,
        "k8s": bundle.kubernetes,
        "k8saggregator": bundle.aggregator,
        "os": bundle.os,
    }
    return tuple(
        (f"certs.{name}", certificates.facts(pair.crt).not_after, certificates.belongs(pair.crt, pair.key))
        for name, pair in pairs.items()
    )


def from_config(text: str) -> SecretsBundle:
    """The bundle behind a control plane's configuration text. Raises ConfigError when parts are missing.

    Reads only the parts it needs, so that a configuration newer than our model will do.
    """
    documents = [document for document in load_plain(text) if isinstance(document, Mapping)]
    main = next((document for document in documents if "machine" in document), {})
    machine, cluster = _part(main, "machine"), _part(main, "cluster")
    if machine.get("type") not in ("controlplane", "init"):
        message = "only a control plane's configuration holds all secrets of its cluster"
        raise ConfigError("Invalid", message, path="machine.type")
    parts = {
        "cluster": {"id": cluster.get("id"), "secret": cluster.get("secret")},
        "secrets": {
            "bootstraptoken": cluster.get("token"),
            "secretboxencryptionsecret": cluster.get("secretboxEncryptionSecret"),
            "aescbcencryptionsecret": cluster.get("aescbcEncryptionSecret"),
        },
        "trustdinfo": {"token": machine.get("token")},
        "certs": {
            "etcd": _part(cluster, "etcd").get("ca"),
            "k8s": cluster.get("ca"),
            "k8saggregator": cluster.get("aggregatorCA"),
            "k8sserviceaccount": cluster.get("serviceAccount"),
            "os": machine.get("ca"),
        },
    }
    return _checked(_from_parts(parts))


def encode_pem(pem: str) -> str:
    """PEM text as it stands in bundles and configurations: base64."""
    return base64.b64encode(pem.encode()).decode()


def encoded(pair: Pair) -> dict[str, str]:
    """A pair as `crt` and `key`, both base64."""
    return {"crt": encode_pem(pair.crt), "key": encode_pem(pair.key)}


def _from_parts(parts: Mapping[str, Any]) -> SecretsBundle:
    cluster, secrets, certs = (_part(parts, name) for name in ("cluster", "secrets", "certs"))
    return SecretsBundle(
        cluster_id=_text(cluster, "id"),
        cluster_secret=_text(cluster, "secret"),
        bootstrap_token=_text(secrets, "bootstraptoken"),
        secretbox=_text(secrets, "secretboxencryptionsecret"),
        aescbc=_text(secrets, "aescbcencryptionsecret"),
        trustd_token=_text(_part(parts, "trustdinfo"), "token"),
        etcd=_pair(certs, "etcd"),
        kubernetes=_pair(certs, "k8s"),
        aggregator=_pair(certs, "k8saggregator"),
        service_account=_pem(_part(certs, "k8sserviceaccount"), "key", "certs.k8sserviceaccount"),
        os=_pair(certs, "os"),
    )


def _checked(bundle: SecretsBundle) -> SecretsBundle:
    problems = [
        (name, "missing from the secrets bundle")
        for name, value in (
            ("cluster.id", bundle.cluster_id),
            ("cluster.secret", bundle.cluster_secret),
            ("secrets.bootstraptoken", bundle.bootstrap_token),
            ("secrets.secretboxencryptionsecret", bundle.secretbox or bundle.aescbc),
            ("trustdinfo.token", bundle.trustd_token),
        )
        if not value
    ]
    pairs = {
        "certs.etcd": bundle.etcd,
        "certs.k8s": bundle.kubernetes,
        "certs.k8saggregator": bundle.aggregator,
        "certs.os": bundle.os,
        "certs.k8sserviceaccount": Pair("", bundle.service_account),
    }
    problems += [(name, problem) for name, pair in pairs.items() if (problem := _problem(name, pair))]
    if problems:
        (path, first), *more = problems
        also = "".join(f"; {name}: {problem}" for name, problem in more)
        raise ConfigError("Invalid", first + also, path=path)
    return bundle


def _problem(name: str, pair: Pair) -> str:
    lone = name == "certs.k8sserviceaccount"
    if not pair.key or not (pair.crt or lone):
        return "missing from the secrets bundle"
    try:
        if not lone:
            certificates.check_certificate(pair.crt)
        certificates.check_key(pair.key)
    except CertificateError as error:
        return str(error)
    return ""


def _part(parts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = parts.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(part: Mapping[str, Any], name: str) -> str:
    found = part.get(name)
    return "" if found is None else str(found)


def _pair(certs: Mapping[str, Any], name: str) -> Pair:
    part = _part(certs, name)
    return Pair(_pem(part, "crt", f"certs.{name}"), _pem(part, "key", f"certs.{name}"))


def _pem(part: Mapping[str, Any], key: str, name: str) -> str:
    try:
        return base64.b64decode(_text(part, key), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise ConfigError("Invalid", "not base64 of PEM text", path=f"{name}.{key}") from None


def _token(token_bytes: Callable[[int], bytes]) -> str:
    """Six and sixteen letters around a dot, drawn without bias."""
    letters = ""
    while len(letters) < 22:
        # 252 is the largest multiple of 36 in a byte.
        letters += "".join(_ALPHABET[byte % 36] for byte in token_bytes(32) if byte < 252)
    return f"{letters[:6]}.{letters[6:22]}"
