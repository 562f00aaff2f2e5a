"""Bundles, identities and certificates, used as a TLS library uses them."""

from __future__ import annotations

import dataclasses
import re
import socket
import ssl
import threading
from pathlib import Path

import pytest

from engine.base import yamltext
from engine.machineconfig import certificates, identity, secretsbundle
from engine.machineconfig.certificates import Pair
from engine.machineconfig.errors import ConfigError
from tests.unit.machineconfig.certificate_facts import certificate_facts, key_facts
from tests.unit.machineconfig.golden import SHIPPED, read
from tests.unit.machineconfig.samples import BUNDLE, NOW, OTHER_BUNDLE


@pytest.fixture(scope="module")
def made() -> secretsbundle.SecretsBundle:
    counter = iter(range(1, 1000))
    return secretsbundle.generate(NOW, lambda size: bytes(next(counter) % 256 for _ in range(size)))


def test_a_new_bundle_round_trips_and_has_the_shape_of_talos(made: secretsbundle.SecretsBundle):
    assert secretsbundle.parse(made.text()) == made
    shape = read(SHIPPED / "secrets" / "113-a", "expected-shape.yaml")
    assert re.fullmatch(shape["bootstrapTokenPattern"], made.bootstrap_token)
    assert re.fullmatch(shape["bootstrapTokenPattern"], made.trustd_token)
    assert len(made.cluster_id) == shape["clusterIdLength"]
    assert len(made.cluster_secret) == shape["clusterSecretLength"]
    assert len(made.secretbox) == shape["secretboxLength"]
    assert made.aescbc == ""


def test_new_authorities_are_those_of_talos(made: secretsbundle.SecretsBundle):
    wanted = read(SHIPPED / "secrets" / "113-a", "expected-authorities.yaml")
    pairs = {"etcd": made.etcd, "k8s": made.kubernetes, "k8saggregator": made.aggregator, "os": made.os}
    for name, pair in pairs.items():
        found = {**certificate_facts(pair.crt, pair.crt), "key": key_facts(pair)}
        assert found == wanted["authorities"][name], name
    assert made.service_account.startswith("-----BEGIN RSA PRIVATE KEY-----")


def test_every_token_letter_is_drawn():
    source = (bytes([value] * 32) for value in range(256))
    drawn = {secretsbundle._token(lambda _: next(source))[0] for _ in range(36)}
    assert len(drawn) == 36


def test_a_bundle_never_shows_itself(made: secretsbundle.SecretsBundle):
    assert made.cluster_secret not in repr(made) and "PRIVATE" not in repr(made.os)


def test_errors_of_a_bundle_name_the_part_and_not_its_content():
    with pytest.raises(ConfigError, match=r"certs\.os: this is not an unencrypted PEM private key") as caught:
        secretsbundle.parse((SHIPPED / "bundle" / "bad-key-pem" / "secrets.yaml").read_text())
    assert "BEGIN" not in str(caught.value)


def test_a_client_identity_names_its_roles_and_outlives_its_term_by_nothing():
    ca, crt, key = identity.client_identity(BUNDLE, roles=("os:reader",), now=NOW, ttl_s=3600)
    facts = certificates.facts(crt)
    assert facts.organizations == ("os:reader",)
    assert (facts.not_before, facts.not_after) == (NOW, NOW + 3600)
    assert facts.client and not facts.server
    assert certificates.signed_by(crt, ca) and certificates.belongs(crt, key)


def test_several_roles_are_one_part_of_the_subject():
    _, crt, _ = identity.client_identity(BUNDLE, roles=("os:operator", "os:admin", "os:admin"), now=NOW)
    facts = certificate_facts(crt, secretsbundle.parse(BUNDLE).os.crt)
    assert facts["subjectRDNCount"] == 1
    assert facts["subjectOrganization"] == ["os:admin", "os:operator"]


def test_a_certificate_of_another_authority_is_not_taken_for_ours(made: secretsbundle.SecretsBundle):
    _, crt, _ = identity.client_identity(BUNDLE, now=NOW)
    assert not certificates.signed_by(crt, made.os.crt)
    assert not certificates.belongs(crt, made.os.key)


def _serve_once(listener: socket.socket, context: ssl.SSLContext, seen: list[object]) -> None:
    raw, _ = listener.accept()
    try:
        with context.wrap_socket(raw, server_side=True) as connection:
            seen.append(connection.getpeercert())
            connection.sendall(b"hello")
    except ssl.SSLError as error:
        seen.append(error)


def _chain(folder: Path, name: str, pair: Pair) -> str:
    path = folder / name
    path.write_text(pair.crt + certificates.relabel(pair.key))
    return str(path)


def test_server_and_client_certificates_meet_in_a_real_handshake(
    tmp_path: Path, made: secretsbundle.SecretsBundle
):
    # From the epoch to long after any test run, so that the wall clock has no say.
    term = {"now": 0.0, "ttl_s": 200.0 * certificates.YEAR_S}
    authority = certificates.make_authority("ed25519", "talos", now=0, ttl_s=200 * certificates.YEAR_S)
    server = certificates.issue_server_certificate(
        authority, addresses=["127.0.0.1"], names=["node-a"], now=term["now"], ttl_s=term["ttl_s"]
    )
    client = certificates.issue(authority, organizations=["os:admin"], client=True, **term)
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.verify_mode = ssl.CERT_REQUIRED
    accepting.load_verify_locations(cadata=authority.crt)
    accepting.load_cert_chain(_chain(tmp_path, "server.pem", server))
    calling = ssl.create_default_context(cadata=authority.crt)
    calling.load_cert_chain(_chain(tmp_path, "client.pem", client))
    seen: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=_serve_once, args=(listener, accepting, seen))
        thread.start()
        with (
            socket.create_connection(listener.getsockname(), timeout=10) as raw,
            calling.wrap_socket(raw, server_hostname="127.0.0.1") as connection,
        ):
            assert connection.recv(5) == b"hello"
            der = connection.getpeercert(binary_form=True)
        thread.join(10)
    assert (("organizationName", "os:admin"),) in seen[0]["subject"]  # type: ignore[index]
    assert der is not None
    assert certificates.spki_fingerprint(der) == certificates.spki_fingerprint(server.crt)


def test_maintenance_mode_has_a_certificate_of_its_own_making():
    authority, leaf = certificates.maintenance_certificate(addresses=["127.0.0.1"], now=NOW)
    assert certificates.signed_by(leaf.crt, authority.crt)
    assert certificates.facts(leaf.crt).server and not certificates.facts(leaf.crt).client


def test_an_address_that_is_none_is_refused_by_name():
    authority = certificates.make_authority("p256", "talos", now=NOW)
    with pytest.raises(certificates.CertificateError, match="'here' is not an IP address"):
        certificates.issue_server_certificate(authority, addresses=["here"], now=NOW)


def test_a_kubeconfig_is_that_of_talos():
    bundle = secretsbundle.parse(BUNDLE)
    text = identity.admin_kubeconfig(
        bundle.kubernetes, cluster="demo", server="https://10.5.0.2:6443", now=NOW
    )
    (document,) = yamltext.load_documents(text)
    assert document["current-context"] == "admin@demo"
    assert document["contexts"][0]["context"] == {
        "cluster": "demo",
        "namespace": "default",
        "user": "admin@demo",
    }
    found = identity.read_credentials(text)
    facts = certificates.facts(found.client.crt)
    assert (facts.common_name, facts.organizations) == ("admin", ("system:masters",))
    assert (facts.not_before, facts.not_after) == (NOW - 10, NOW + certificates.YEAR_S)
    assert found.endpoints == ("https://10.5.0.2:6443",)
    assert certificate_facts(found.client.crt, bundle.kubernetes.crt)["keyUsage"] == [
        "digitalSignature", "keyEncipherment",
    ]  # fmt: skip


def test_a_worker_configuration_gives_no_bundle():
    with pytest.raises(ConfigError, match="only a control plane's configuration"):
        secretsbundle.from_config("machine: {type: worker}\n")


def _bundle(**changed: Pair) -> str:
    return dataclasses.replace(secretsbundle.parse(BUNDLE), **changed).text()


def test_a_bundle_that_no_cluster_can_live_with_is_refused_with_its_part():
    secretsbundle.check_fit(BUNDLE, NOW + 1)
    ours, theirs = secretsbundle.parse(BUNDLE), secretsbundle.parse(OTHER_BUNDLE)
    old = certificates.make_authority("p256", "etcd", now=NOW - 7200, ttl_s=3600)
    for text, path, message in (
        (_bundle(os=Pair(ours.os.crt, theirs.os.key)), "certs.os", "the key is not that of the certificate"),
        (_bundle(etcd=old), "certs.etcd", "the authority expired on 2025-12-31"),
        (
            _bundle(aggregator=Pair("-----BEGIN CERTIFICATE-----\nno\n", "")),
            "certs.k8saggregator",
            "missing from",
        ),
        (_bundle(kubernetes=Pair("no", ours.kubernetes.key)), "certs.k8s", "this is not a PEM certificate"),
    ):
        with pytest.raises(ConfigError) as caught:
            secretsbundle.check_fit(text, NOW)
        assert caught.value.path == path
        assert caught.value.message.startswith(message)
