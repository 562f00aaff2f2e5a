"""Checks of the documents about registries and the images that come from them.

Each yields problems with paths; none changes anything. Verdicts are those of machinery 1.13.9, asked by
tests/talos-model. Neighbour: `checks_documents` runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from engine.machineconfig import certificates
from engine.machineconfig.certificates import CertificateError
from engine.machineconfig.checks import Problem, section


def _auth(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    ways = [key for key in ("auth", "username", "identityToken") if value.get(key)]
    if len(ways) > 1:
        yield Problem(ways[1], f"{ways[0]} and {ways[1]} exclude each other")


def _mirror(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    for index, endpoint in enumerate(value.get("endpoints", ())):
        path = f"endpoints[{index}].url"
        if not endpoint.get("url"):
            yield Problem(path, "required")
        elif urlsplit(endpoint["url"]).scheme not in ("http", "https"):
            yield Problem(path, "must begin with http:// or https://")


def _tls(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    if value.get("ca") and not _works(certificates.check_certificate, value["ca"]):
        yield Problem("ca", "not a PEM certificate")
    client = value.get("clientIdentity")
    if client is not None:
        if not _works(certificates.check_certificate, client.get("cert", "")):
            yield Problem("clientIdentity.cert", "not a PEM certificate")
        if not _works(certificates.check_key, client.get("key", "")):
            yield Problem("clientIdentity.key", "not a PEM private key")


def _works(check: Callable[[str], None], text: str) -> bool:
    try:
        check(text)
    except CertificateError:
        return False
    return True


def _verification(_: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    for index, rule in enumerate(value.get("rules", ())):
        for problem in (*_image(rule), *_verifiers(rule)):
            yield Problem(f"rules[{index}]{problem.path}", problem.message, problem.warning)


def _image(rule: Mapping[str, Any]) -> Iterator[Problem]:
    image = rule.get("image", "")
    if not image:
        yield Problem(".image", "required")
        return
    if any(mark in image for mark in "@:"):
        yield Problem(".image", "only registry and repository are matched, not tag or digest", warning=True)
    if "/" not in image and image != "*":
        yield Problem(".image", "images without a registry are matched as docker.io/...", warning=True)


def _verifiers(rule: Mapping[str, Any]) -> Iterator[Problem]:
    passes, refuses = rule.get("skip"), rule.get("deny")
    kinds = [kind for kind in ("keyless", "publicKey") if kind in rule]
    if passes and refuses:
        yield Problem("", "skip and deny exclude each other")
    if kinds and (passes or refuses):
        yield Problem(f".{kinds[0]}", "not together with skip or deny")
    if not kinds and not (passes or refuses):
        yield Problem("", "keyless, publicKey, skip or deny is required")
    if len(kinds) > 1:
        yield Problem(f".{kinds[1]}", "keyless and publicKey exclude each other")
    if "keyless" in rule:
        keyless = section(rule, "keyless")
        if not keyless.get("issuer"):
            yield Problem(".keyless.issuer", "required")
        if not (keyless.get("subject") or keyless.get("subjectRegex")):
            yield Problem(".keyless.subject", "subject or subjectRegex is required")
    if "publicKey" in rule and not section(rule, "publicKey").get("certificate"):
        yield Problem(".publicKey.certificate", "required")


IMAGE_CHECKS: Final[Mapping[str, tuple[Callable[[str, Mapping[str, Any]], Iterator[Problem]], ...]]] = {
    "ImageVerificationConfig": (_verification,),
    "RegistryAuthConfig": (_auth,),
    "RegistryMirrorConfig": (_mirror,),
    "RegistryTLSConfig": (_tls,),
}
