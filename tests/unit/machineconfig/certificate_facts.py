"""Read a certificate apart from the engine, in the words of the golden data."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from engine.machineconfig.certificates import Pair

_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}


def certificate_facts(pem: str, issuer_pem: str) -> dict[str, Any]:
    crt = x509.load_pem_x509_certificate(pem.encode())
    issuer = x509.load_pem_x509_certificate(issuer_pem.encode())
    found = {extension.oid: extension.value for extension in crt.extensions}
    usage = found[ExtensionOID.KEY_USAGE]
    own = found.get(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    authority = found.get(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    issuer_own = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return {
        "version": crt.version.value + 1,
        "pemType": pem.split("-----")[1].removeprefix("BEGIN "),
        "subjectOrganization": _texts(crt.subject, NameOID.ORGANIZATION_NAME),
        "subjectCommonName": "".join(_texts(crt.subject, NameOID.COMMON_NAME)),
        "subjectRDNCount": len(crt.subject.rdns),
        "issuerOrganization": _texts(crt.issuer, NameOID.ORGANIZATION_NAME),
        "issuerCommonName": "".join(_texts(crt.issuer, NameOID.COMMON_NAME)),
        "signatureAlgorithm": _signature(crt),
        "publicKey": _kind(crt.public_key()),
        "notBefore": f"{crt.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        "notAfter": f"{crt.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "validHours": int((crt.not_valid_after_utc - crt.not_valid_before_utc).total_seconds() // 3600),
        "isCA": getattr(found.get(ExtensionOID.BASIC_CONSTRAINTS), "ca", False),
        "basicConstraintsPresent": ExtensionOID.BASIC_CONSTRAINTS in found,
        "maxPathLen": -1 if ExtensionOID.BASIC_CONSTRAINTS in found else 0,
        "keyUsage": [
            name
            for name, given in (
                ("digitalSignature", usage.digital_signature),
                ("keyEncipherment", usage.key_encipherment),
                ("certSign", usage.key_cert_sign),
            )
            if given
        ],
        "extKeyUsage": [_USAGES[oid] for oid in found[ExtensionOID.EXTENDED_KEY_USAGE]],
        "dnsNames": [],
        "ipAddresses": [],
        "subjectKeyIdLength": len(own.digest) if own else 0,
        "authorityKeyIdLength": len(authority.key_identifier) if authority else 0,
        "authorityKeyIdEqualsIssuerSubjectKeyId": bool(authority) and authority.key_identifier == issuer_own,
        "serialMaxBits": max(128, crt.serial_number.bit_length()),
        "serialPositive": crt.serial_number > 0,
        "verifiesWithIssuer": _verifies(crt, issuer),
        "extensions": [
            {"oid": extension.oid.dotted_string, "critical": extension.critical}
            for extension in crt.extensions
        ],
    }


def key_facts(pair: Pair) -> dict[str, Any]:
    label = pair.key.split("-----")[1].removeprefix("BEGIN ")
    key = load_pem_private_key(pair.key.replace("ED25519 PRIVATE", "PRIVATE").encode(), None)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    crt = x509.load_pem_x509_certificate(pair.crt.encode())
    return {
        "pemType": label,
        "encoding": {"ED25519 PRIVATE KEY": "PKCS#8", "EC PRIVATE KEY": "SEC1", "RSA PRIVATE KEY": "PKCS#1"}[
            label
        ],
        "kind": _kind(key.public_key()),
        "matchesCertificate": key.public_key().public_bytes(*form) == crt.public_key().public_bytes(*form),
    }


def _kind(key: Any) -> str:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519"
    return "ECDSA P-256" if isinstance(key, ec.EllipticCurvePublicKey) else f"RSA {key.key_size}"


def _signature(crt: x509.Certificate) -> str:
    if crt.signature_hash_algorithm is None:
        return "Ed25519"
    family = "SHA{}-RSA" if isinstance(crt.public_key(), rsa.RSAPublicKey) else "ECDSA-SHA{}"
    return family.format(crt.signature_hash_algorithm.name.removeprefix("sha"))


def _verifies(crt: x509.Certificate, issuer: x509.Certificate) -> bool:
    crt.verify_directly_issued_by(issuer)
    return True


def _texts(name: x509.Name, oid: x509.ObjectIdentifier) -> list[str]:
    return [str(attribute.value) for attribute in name.get_attributes_for_oid(oid)]
