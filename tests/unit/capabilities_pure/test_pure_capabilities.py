"""The pure Talos capabilities keep the table that the rules are written against."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

import jsonschema
import pytest

from engine.base.errors import CapabilityError
from engine.base.timestamps import rfc3339
from engine.base.values import Opaque, reveal
from engine.capabilities.identities import RENEW_BEFORE_S, TTL_S, Identities
from engine.capabilities.registry import all_capabilities
from engine.machineconfig import certificates, identity, secretsbundle
from tests.unit.machineconfig.golden import SHIPPED
from tests.unit.machineconfig.samples import BUNDLE, NOW, OTHER_BUNDLE, cluster

OURS = (
    "talos.secrets.obtain",
    "talos.config.render",
    "talos.state.read",
    "talos.talosconfig",
    "talos.credentials.inspect",
)


def call(name: str, now: float = NOW, **given: Any) -> Any:
    """Run a capability and hold input and output against its schemas."""
    capability = all_capabilities()[name]
    assert capability.run is not None
    jsonschema.validate(reveal(given), capability.input)
    result = capability.run(given, now)
    jsonschema.validate(reveal(result), capability.output)
    return result


def inspect(text: str | None, now: float = NOW, **given: Any) -> Any:
    shown = None if text is None else Opaque(text)
    return call("talos.credentials.inspect", now, text=shown, issuer=Opaque(BUNDLE), **given)


@pytest.mark.parametrize("name", OURS)
def test_ours_are_found_and_pure(name: str):
    capability = all_capabilities()[name]
    assert capability.effect == "pure" and capability.start is None
    assert capability.random == (name in ("talos.secrets.obtain", "talos.talosconfig"))
    assert capability.memo == (name in ("talos.config.render", "talos.state.read"))


def test_finding_them_loads_no_cryptography():
    program = (
        "import sys; from engine.capabilities import secrets_obtain, config_render, talosconfig, "
        "credentials_inspect, identities; print([m for m in ('cryptography', 'grpc', 'yaml') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_kept_bundle_wins_and_is_not_rewritten():
    config = Opaque((SHIPPED / "extract" / "cp-113" / "config.yaml").read_text())
    made = call("talos.secrets.obtain", status=Opaque(BUNDLE), config=config)
    assert made["bundle"] == Opaque(BUNDLE)


def test_secrets_are_taken_out_of_a_control_plane_configuration():
    folder = SHIPPED / "extract" / "cp-113"
    made = call("talos.secrets.obtain", config=Opaque((folder / "config.yaml").read_text()))
    assert made["bundle"].reveal() == (folder / "expected-secrets.yaml").read_text()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"status": "cluster: {}"}, "kept secrets bundle"),
        ({"status": "{"}, "kept secrets bundle"),
        ({"config": "machine: {type: worker}"}, "given control plane configuration"),
        ({"config": "machine: {type: controlplane}"}, "given control plane configuration"),
    ],
)
def test_what_is_given_and_unusable_never_leads_to_new_secrets(given: dict[str, str], named: str):
    with pytest.raises(CapabilityError, match=named) as caught:
        call("talos.secrets.obtain", **{key: Opaque(text) for key, text in given.items()})
    assert caught.value.code == "UnusableSecrets"
    assert caught.value.sent == "no"


def test_without_anything_given_new_secrets_are_made_each_time():
    first, second = (call("talos.secrets.obtain")["bundle"] for _ in range(2))
    assert first != second
    assert secretsbundle.parse(first.reveal()).text() == first.reveal()


def test_rendering_gives_text_digest_and_a_form_for_eyes():
    given = {"role": "controlplane", "cluster": cluster(), "secrets": Opaque(BUNDLE), "disk": "/dev/sda"}
    first, again = call("talos.config.render", **given), call("talos.config.render", **given)
    assert first == again and first["error"] is None
    assert isinstance(first["text"], Opaque)
    assert "******" in first["redacted"] and "PRIVATE" not in first["redacted"]


def test_a_mistake_in_a_patch_is_a_value_that_names_it():
    machine = {"configPatches": [{"machine": {"nope": 1}}]}
    result = call(
        "talos.config.render", role="worker", cluster=cluster(), secrets=Opaque(BUNDLE), machine=machine
    )
    assert result == {
        "text": None,
        "redacted": None,
        "digest": None,
        "asked": None,
        "error": {
            "patch": "configPatches[0]",
            "path": "machine.nope",
            "reason": "UnknownKey",
            "message": "unknown key",
        },
    }


def test_a_whole_configuration_renders_nothing_else():
    crt = secretsbundle.encode_pem(secretsbundle.parse(BUNDLE).os.crt)
    text = f"machine: {{type: worker, ca: {{crt: {crt}}}}}"
    given = {"role": "worker", "cluster": "not even JSON", "secrets": Opaque(BUNDLE)}
    result = call("talos.config.render", **given, whole=f" {text}\n")
    assert result["text"].reveal() == text


def test_a_talosconfig_that_we_write_is_valid_for_a_year():
    made = call(
        "talos.talosconfig", context="demo", endpoints=["10.0.0.2", "10.0.0.1"], identity=Opaque(BUNDLE)
    )
    verdict = inspect(made["text"].reveal(), endpoints=["10.0.0.1", "10.0.0.2"])
    assert (verdict["valid"], verdict["reason"]) == (True, "Valid")
    assert (verdict["renew"], verdict["expires"]) == ("2026-10-01T18:00:00Z", "2027-01-01T00:00:00Z")
    late = inspect(made["text"].reveal(), now=NOW + certificates.YEAR_S)
    assert (late["valid"], late["reason"]) == (False, "Expired")
    assert inspect(made["text"].reveal(), now=NOW - 2 * 86400)["reason"] == "NotYetValid"


def test_credentials_of_a_machine_whose_clock_is_ahead_are_not_made_again_and_again():
    made = call("talos.talosconfig", context="demo", endpoints=["10.0.0.1"], identity=Opaque(BUNDLE))
    assert inspect(made["text"].reveal(), now=NOW - 3600)["reason"] == "Valid"


def test_credentials_for_other_endpoints_or_of_another_cluster_are_told_apart():
    made = call("talos.talosconfig", context="demo", endpoints=["10.0.0.1"], identity=Opaque(BUNDLE))
    assert inspect(made["text"].reveal(), endpoints=["10.0.0.9"])["reason"] == "OtherEndpoints"
    other = call("talos.talosconfig", context="demo", endpoints=["10.0.0.1"], identity=Opaque(OTHER_BUNDLE))
    assert inspect(other["text"].reveal())["reason"] == "OtherIssuer"


def test_a_kubeconfig_is_judged_by_the_kubernetes_authority_and_its_server():
    authority = secretsbundle.parse(BUNDLE).kubernetes
    text = identity.admin_kubeconfig(authority, cluster="demo", server="https://10.5.0.2:6443", now=NOW)
    assert inspect(text, endpoints=["https://10.5.0.2:6443"])["valid"] is True
    assert inspect(text, endpoints=["https://10.5.0.9:6443"])["reason"] == "OtherEndpoints"
    other = secretsbundle.parse(OTHER_BUNDLE).kubernetes
    foreign = identity.admin_kubeconfig(other, cluster="demo", server="https://10.5.0.2:6443", now=NOW)
    assert inspect(foreign)["reason"] == "OtherIssuer"


def test_a_certificate_that_lives_a_day_is_renewed_after_three_quarters_of_that_day():
    authority = secretsbundle.parse(BUNDLE).kubernetes
    server = "https://10.5.0.2:6443"
    text = identity.admin_kubeconfig(authority, cluster="demo", server=server, now=NOW, ttl_s=24 * 3600)
    # Talos dates it back by ten seconds.
    verdict = inspect(text)
    assert (verdict["renew"], verdict["expires"]) == ("2026-01-01T17:59:57Z", "2026-01-02T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "Absent"),
        ("", "Absent"),
        ("{", "Unreadable"),
        ("context: a\ncontexts: {}\n", "Unreadable"),
        ("[1]", "Unreadable"),
    ],
)
def test_credentials_that_are_none_have_their_reason(text: str | None, reason: str):
    assert inspect(text) == {"valid": False, "expires": None, "renew": None, "reason": reason}


def test_an_identity_is_made_once_for_all_threads_and_renewed_well_before_its_end():
    identities, bundle = Identities(), Opaque(BUNDLE)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(identities.of(bundle, NOW))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.digest for each in found}) == 1
    almost = NOW + TTL_S - RENEW_BEFORE_S - 301
    assert identities.of(bundle, almost) is found[0]
    renewed = identities.of(bundle, almost + 2)
    assert renewed.digest != found[0].digest
    assert certificates.facts(found[0].certificate).not_after > almost + RENEW_BEFORE_S


def test_identities_of_two_clusters_differ_and_show_no_key():
    identities = Identities()
    first, second = identities.of(Opaque(BUNDLE), NOW), identities.of(Opaque(OTHER_BUNDLE), NOW)
    assert first.ca != second.ca
    assert "PRIVATE" not in repr(first)


def test_a_bundle_that_cannot_be_read_gives_no_identity():
    with pytest.raises(CapabilityError) as caught:
        Identities().of(Opaque("cluster: {}"), NOW)
    assert caught.value.code == "UnusableSecrets"


def asked(**given: Any) -> Any:
    base = {"role": "worker", "cluster": cluster(), "secrets": Opaque(BUNDLE), "version": "v1.13.0"}
    return call("talos.config.render", **{**base, **given})["asked"]


def test_what_was_asked_for_is_the_same_on_every_disk_and_at_every_address():
    described = json.loads(cluster())
    moved = json.dumps({**described, "clientEndpoint": ["127.0.9.7"]})
    for same in ({"disk": "/dev/sdb"}, {"installed": True}, {"cluster": moved}):
        assert asked(**same) == asked(), same


def test_what_is_left_as_it_is_by_default_makes_no_other_wish():
    default = json.dumps({**json.loads(cluster()), "clusterDomain": "cluster.local", "cni": {}})
    for same in ({"cluster": default}, {"machine": {}}, {"machine": {"wipe": False, "configPatches": []}}):
        assert asked(**same) == asked(), same


def test_any_other_wish_is_another_one():
    described = json.loads(cluster())
    wishes = [
        {},
        {"machine": {"configPatches": [{"machine": {"sysctls": {"a": "b"}}}]}},
        {"version": "v1.12.0"},
        {"secrets": Opaque(OTHER_BUNDLE)},
        {"role": "controlplane"},
        {"whole": "machine: {type: worker}"},
        {"cluster": json.dumps({**described, "kubeVersion": "v1.34.0"})},
        {"cluster": json.dumps({**described, "clusterDomain": "example.org"})},
    ]
    assert len({asked(**wish) for wish in wishes}) == len(wishes)


def state(
    bundle: str | None, status: str | None = None, version: str | None = "v1.34.1", config: str = "{}"
) -> Any:
    def hidden(text: str | None) -> Opaque | None:
        return None if text is None else Opaque(text)

    return call(
        "talos.state.read",
        bundle=hidden(bundle),
        status=hidden(status),
        observedKubeVersion=hidden(version),
        bundleConfig=hidden(config),
    )


def test_a_state_secret_gives_the_kubernetes_version_back():
    known = state(BUNDLE)
    assert (known["described"], known["observedKubeVersion"], known["error"]) == (True, "v1.34.1", None)
    fresh = state(BUNDLE, version="", config="")
    assert (fresh["described"], fresh["observedKubeVersion"], fresh["error"]) == (False, None, None)


def test_a_state_secret_says_when_the_authorities_of_the_cluster_expire():
    told = {item["name"]: item["expires"] for item in state(BUNDLE)["authorities"]}
    bundle = secretsbundle.parse(BUNDLE)
    pairs = {
        "talos-ca": bundle.os,
        "kubernetes-ca": bundle.kubernetes,
        "etcd-ca": bundle.etcd,
        "aggregator-ca": bundle.aggregator,
    }
    ends = {name: certificates.facts(pair.crt).not_after for name, pair in pairs.items()}
    assert told == {name: rfc3339(end) for name, end in ends.items()}
    assert state(None)["authorities"] == state("")["authorities"] == []
    assert state(BUNDLE, OTHER_BUNDLE)["authorities"] == []


def test_what_is_no_version_does_not_come_out_of_a_state_secret():
    assert state(BUNDLE, version="-----BEGIN PRIVATE KEY-----")["observedKubeVersion"] is None
    assert state(None, version=None)["observedKubeVersion"] is None


@pytest.mark.parametrize("text", ["", "cluster: {}", "{", "a text"])
def test_keys_that_cannot_be_used_are_said_to_be(text: str):
    error = state(text)["error"]
    assert error["reason"] == "Unusable"
    assert "secretBundle" in error["message"]


def test_the_keys_of_another_cluster_than_in_the_status_are_a_conflict():
    assert state(BUNDLE, OTHER_BUNDLE)["error"]["reason"] == "Conflict"
    assert state(BUNDLE, BUNDLE + "\n")["error"] is None
    assert state(BUNDLE, "no bundle at all")["error"] is None
