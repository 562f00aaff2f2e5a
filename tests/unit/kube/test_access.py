"""Configuration, credentials and TLS: what is used, what is refused, what is left on the disk."""

from __future__ import annotations

import base64
import json
import ssl
import stat
import tempfile
import time
from pathlib import Path

import pytest
import yaml

from engine.base.errors import Denied, SettingsError
from engine.base.kinds import Key
from engine.machineconfig.certificates import issue, issue_server_certificate, make_authority
from engine.ports.kube.access import in_cluster, open_access
from engine.ports.kube.client import KubeClient
from engine.ports.kube.credentials import ExecToken, FileToken
from tests.unit.kube.conftest import THING, kubeconfig, thing

KEY = Key(THING, "default", "a")


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def secure(serve, tmp_path):
    """A server with its own authority that asks for client certificates, and the user for it."""
    now = time.time()
    authority = make_authority("p256", "test", now=now)
    pair = issue_server_certificate(authority, addresses=("127.0.0.1",), names=("api.test",), now=now)
    user = issue(authority, now=now, ttl_s=3600, common_name="me", client=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "crt").write_text(pair.crt)
    (folder / "key").write_text(pair.key)
    context.load_cert_chain(folder / "crt", folder / "key")
    context.load_verify_locations(cadata=authority.crt)
    context.verify_mode = ssl.CERT_REQUIRED
    return serve(lambda asked, wire: wire.json(thing("a")), context=context), authority, user


def test_keys_given_inline_work_and_leave_no_file(secure, connect, tmp_path, monkeypatch):
    server, authority, user = secure
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    client = connect(
        server,
        cluster={"certificate-authority-data": encoded(authority.crt)},
        user={"client-certificate-data": encoded(user.crt), "client-key-data": encoded(user.key)},
    )
    assert client.get(KEY)["metadata"]["name"] == "a"
    assert list(place.iterdir()) == []


def test_a_key_on_its_way_into_the_tls_library_is_for_us_alone(secure, connect, monkeypatch):
    server, authority, user = secure
    modes = []
    load = ssl.SSLContext.load_cert_chain

    def spy(self, certificate, key):
        modes.append((stat.S_IMODE(key.stat().st_mode), stat.S_IMODE(key.parent.stat().st_mode)))
        load(self, certificate, key)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    connect(
        server,
        cluster={"certificate-authority-data": encoded(authority.crt)},
        user={"client-certificate-data": encoded(user.crt), "client-key-data": encoded(user.key)},
    )
    assert modes == [(0o600, 0o700)]


def test_files_beside_the_kubeconfig_are_found(secure, connect, tmp_path):
    server, authority, user = secure
    for name, text in (("ca.crt", authority.crt), ("me.crt", user.crt), ("me.key", user.key)):
        (tmp_path / name).write_text(text)
    client = connect(
        server,
        cluster={"certificate-authority": "ca.crt", "tls-server-name": "api.test"},
        user={"client-certificate": "me.crt", "client-key": "me.key"},
    )
    assert client.get(KEY)["metadata"]["name"] == "a"


def test_only_the_clusters_own_authority_is_trusted(secure):
    _, authority, _ = secure
    access = open_access_of({"certificate-authority-data": encoded(authority.crt)})
    assert len(access.session.get_adapter("https://x")._tls["ssl_context"].get_ca_certs()) == 1


def open_access_of(cluster):
    with tempfile.TemporaryDirectory() as folder:
        return open_access(kubeconfig(Path(folder), "https://127.0.0.1:1", cluster=cluster))


def test_a_client_certificate_that_the_server_refuses_is_told_as_such(secure, connect):
    server, authority, _ = secure
    other = make_authority("p256", "other", now=time.time())
    user = issue(other, now=time.time(), ttl_s=3600, common_name="me", client=True)
    client = connect(
        server,
        cluster={"certificate-authority-data": encoded(authority.crt)},
        user={"client-certificate-data": encoded(user.crt), "client-key-data": encoded(user.key)},
    )
    with pytest.raises(Denied, match="refuses our client certificate") as told:
        client.get(KEY)
    assert told.value.sent == "no"


@pytest.mark.parametrize(
    ("cluster", "user", "message"),
    [
        ({"proxy-url": "http://proxy"}, {}, "`proxy-url` is not supported"),
        ({}, {"as": "admin"}, "`as` is not supported"),
        ({}, {"client-certificate": "none.crt", "client-key": "none.key"}, "does not exist"),
        ({"certificate-authority-data": "x"}, {}, "not a usable kubeconfig"),
        ({}, {"exec": {"apiVersion": "client.authentication.k8s.io/v9", "command": "x"}}, "is unknown"),
        ({}, {"exec": {"apiVersion": "client.authentication.k8s.io/v1"}}, "`command` is missing"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_the_file_named(connect, tmp_path, cluster, user, message):
    with pytest.raises(SettingsError, match=message) as told:
        connect("https://127.0.0.1:1", cluster=cluster, user=user)
    assert str(told.value).startswith(f"{tmp_path / 'kubeconfig'}: ")


@pytest.mark.parametrize("text", ["", "{", "[]", "current-context: none"])
def test_a_file_that_is_no_kubeconfig_is_told_so(tmp_path, text):
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(SettingsError, match="not a usable kubeconfig"):
        KubeClient.connect(path)


def test_a_missing_kubeconfig_is_told_with_its_path(tmp_path):
    with pytest.raises(SettingsError, match=r"no kubeconfig at .*none; name one with --kubeconfig"):
        KubeClient.connect(tmp_path / "none")


def test_kubeconfig_of_the_environment_is_used_and_several_are_not_merged(tmp_path, monkeypatch):
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'none'}:{path}")
    assert open_access().server == "http://127.0.0.1:1"
    monkeypatch.setenv("KUBECONFIG", f"{path}:{path}")
    with pytest.raises(SettingsError, match="are not merged"):
        open_access()


def test_another_context_can_be_chosen(tmp_path):
    path = kubeconfig(tmp_path, "http://127.0.0.1:1")
    document = yaml.safe_load(path.read_text())
    document["clusters"].append({"name": "d", "cluster": {"server": "http://127.0.0.1:2"}})
    document["contexts"].append({"name": "y", "context": {"cluster": "d", "user": "u", "namespace": "n"}})
    path.write_text(yaml.safe_dump(document))
    access = open_access(path, context="y")
    assert (access.server, access.namespace) == ("http://127.0.0.1:2", "n")


def service_account(folder, monkeypatch, server, token):
    (folder / "token").write_text(token)
    (folder / "namespace").write_text("talos-system\n")
    (folder / "ca.crt").write_text(make_authority("p256", "test", now=time.time()).crt)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))


def test_a_service_account_token_that_was_renewed_is_used_after_a_401(serve, tmp_path, monkeypatch):
    def script(asked, wire):
        if asked.headers["authorization"] == "Bearer new":
            wire.json(thing("a"))
        else:
            wire.refuse(401, "Unauthorized", "expired")

    now = time.time()
    authority = make_authority("p256", "test", now=now)
    pair = issue_server_certificate(authority, addresses=("127.0.0.1",), now=now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, text in (("c", pair.crt), ("k", pair.key)):
        (tmp_path / name).write_text(text)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    server = serve(script, context=context)
    service_account(tmp_path, monkeypatch, server, "old")
    (tmp_path / "ca.crt").write_text(authority.crt)
    client = KubeClient(in_cluster(tmp_path))
    assert client.namespace == "talos-system"
    with pytest.raises(Denied):
        client.get(KEY)
    (tmp_path / "token").write_text("new\n")
    assert client.get(KEY)["metadata"]["name"] == "a"
    assert [asked.headers["authorization"] for asked in server.asked] == [
        "Bearer old",
        "Bearer old",
        "Bearer new",
    ]
    client.close()


def test_a_token_file_is_read_again_after_a_minute_and_outlives_a_moment_without_it(tmp_path):
    now = [0.0]
    path = tmp_path / "token"
    path.write_text("one")
    token = FileToken(path, clock=lambda: now[0])
    assert token.token() == "one"
    path.write_text("two")
    now[0] = 59
    assert token.token() == "one"
    now[0] = 60
    assert token.token() == "two"
    path.unlink()
    now[0] = 120
    assert token.token() == "two"


def plugin(tmp_path, status, exit_code=0):
    script = tmp_path / "plugin.sh"
    answer = json.dumps({"kind": "ExecCredential", "status": status})
    script.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\necho '{answer}'\nexit {exit_code}\n")
    script.chmod(0o700)
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin.sh", "env": None}


def runs(tmp_path):
    return len((tmp_path / "runs").read_text().split())


def test_a_credential_plugin_runs_once_until_its_token_expires(tmp_path):
    now = [0.0]
    status = {"token": "t", "expirationTimestamp": "1970-01-01T00:10:00Z"}
    source = ExecToken(plugin(tmp_path, status), tmp_path, clock=lambda: now[0])
    assert [source.token() for _ in range(3)] == ["t"] * 3
    assert runs(tmp_path) == 1
    now[0] = 591
    source.token()
    assert runs(tmp_path) == 2
    assert not source.renew()
    assert runs(tmp_path) == 3


def test_a_credential_plugin_that_fails_is_told_without_its_output(tmp_path):
    source = ExecToken(plugin(tmp_path, {"token": "the-secret"}, exit_code=3), tmp_path)
    with pytest.raises(Denied, match=r"gave no token \(exit 3\)") as told:
        source.token()
    assert "the-secret" not in str(told.value)
    assert told.value.sent == "no"


def test_a_plugins_token_goes_with_each_request(serve, connect, tmp_path):
    server = serve(lambda asked, wire: wire.json(thing("a")))
    connect(server, user={"exec": plugin(tmp_path, {"token": "t"})}).get(KEY)
    assert server.asked[0].headers["authorization"] == "Bearer t"
