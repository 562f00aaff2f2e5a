"""Who gets in at the metrics endpoint, over real TLS and with the embedded API as the judge."""

from __future__ import annotations

import http.client
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from engine.base.assets import asset
from engine.base.errors import SettingsError
from engine.listener import Listener
from engine.machineconfig.certificates import issue, issue_server_certificate, make_authority
from engine.ports.kube.client import KubeClient
from engine.serve import Gate, ServingCertificate, metrics_handler
from engine.settings import BindAddress
from engine.standalone import StandaloneApi
from engine.standalone.reviews import USER

pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@dataclass
class Endpoint:
    """A running endpoint, its authorities, and the questions that it asked the API server."""

    folder: Path
    port: int
    token: str
    clock: Clock
    asked: list = field(default_factory=list)

    def context(self, client=None):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        if client is not None:
            place = self.folder / "client.pem"
            place.write_text(client.crt + client.key)
            context.load_cert_chain(place)
        return context

    def status(self, token=None, client=None):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        context = self.context(client)
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        try:
            connection.request("GET", "/metrics", headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def questions(self):
        found = [record.method for record in self.asked]
        self.asked.clear()
        return found


@pytest.fixture(scope="module")
def authority():
    return make_authority("p256", "prometheus", now=time.time())


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory, authority):
    folder = tmp_path_factory.mktemp("endpoint")
    api = StandaloneApi(folder / "api", asset("schemas", "crds"))
    api.start()
    serving = make_authority("p256", "serving", now=time.time())
    pair = issue_server_certificate(serving, addresses=("127.0.0.1",), now=time.time())
    (folder / "ca.crt").write_text(serving.crt)
    (folder / "tls.crt").write_text(pair.crt)
    (folder / "tls.key").write_text(pair.key)
    (folder / "clients.crt").write_text(authority.crt)
    config = yaml.safe_load((folder / "api" / "kubeconfig").read_text())
    asked = []
    client = KubeClient.connect(folder / "api" / "kubeconfig", on_request=asked.append)
    clock = Clock()
    certificate = ServingCertificate(folder, client_ca=folder / "clients.crt")
    handler = metrics_handler(lambda _: b"m 1\n", Gate(client, clock))
    listener = Listener(BindAddress("127.0.0.1", 0), "--flag", handler, context=certificate.context)
    listener.start()
    yield Endpoint(folder, listener.port, config["users"][0]["user"]["token"], clock, asked)
    listener.stop()
    client.close()
    api.stop()


def client_of(authority, name, groups=()):
    return issue(authority, now=time.time(), ttl_s=600, common_name=name, organizations=groups, client=True)


def test_the_token_that_the_api_server_knows_opens_and_another_does_not(endpoint):
    assert endpoint.status(endpoint.token) == 200
    assert endpoint.status("another") == 401
    assert endpoint.status() == 401


def test_the_api_server_is_asked_again_only_when_its_answers_have_grown_old(endpoint):
    endpoint.clock.now += 1000
    endpoint.questions()
    assert endpoint.status(endpoint.token) == 200
    assert endpoint.questions() == ["POST", "POST"]
    endpoint.clock.now += 59
    assert endpoint.status(endpoint.token) == 200
    assert endpoint.questions() == []
    endpoint.clock.now += 2
    assert endpoint.status(endpoint.token) == 200
    assert endpoint.questions() == ["POST"], "who it is, for a minute; that he may, for five"


def test_a_client_certificate_takes_the_place_of_a_token_and_says_who_asks(endpoint, authority):
    assert endpoint.status(client=client_of(authority, USER)) == 200
    assert endpoint.status(client=client_of(authority, "somebody", ("monitoring",))) == 403
    assert endpoint.status(client=client_of(authority, "")) == 401, "it names nobody"
    endpoint.questions()
    endpoint.clock.now += 1000
    assert endpoint.status(client=client_of(authority, USER)) == 200
    assert endpoint.questions() == ["POST"], "whether he may, not who he is"


def test_a_client_certificate_of_another_authority_does_not_even_shake_hands(endpoint):
    stranger = client_of(make_authority("p256", "stranger", now=time.time()), USER)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        endpoint.status(endpoint.token, stranger)


def test_a_server_certificate_is_no_client_certificate(endpoint, authority):
    server = issue(authority, now=time.time(), ttl_s=600, common_name=USER, server=True)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        endpoint.status(client=server)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_of_today_is_spoken(endpoint, version):
    assert spoken(endpoint, version) == version.replace("_", ".")


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_tls_older_than_1_2_is_refused(endpoint, version):
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol"):
        spoken(endpoint, version)


def spoken(endpoint, version):
    context = endpoint.context()
    context.set_ciphers("ALL:@SECLEVEL=0")  # without it this side would not even offer the old ones
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    connection = http.client.HTTPSConnection("127.0.0.1", endpoint.port, timeout=10, context=context)
    try:
        connection.connect()
        return connection.sock.version()
    finally:
        connection.close()


def test_changed_authorities_of_clients_are_taken_up_and_unusable_ones_are_not(tmp_path, authority):
    clients, clock, read = tmp_path / "ca.crt", Clock(), []
    clients.write_text(authority.crt)
    certificate = ServingCertificate(client_ca=clients, clock=clock, on_read=read.append)
    first = certificate.context()
    assert first.verify_mode is ssl.CERT_OPTIONAL
    assert len(first.get_ca_certs()) == 1
    clients.write_text(authority.crt + make_authority("p256", "more", now=time.time()).crt)
    clock.now = 11
    assert len(certificate.context().get_ca_certs()) == 2
    clients.write_text("nothing")
    clock.now = 22
    assert len(certificate.context().get_ca_certs()) == 2
    assert read == ["success", "success", "error"]
    with pytest.raises(SettingsError, match=r"ca\.crt: no certificates in PEM"):
        ServingCertificate(client_ca=clients)


def test_without_authorities_no_client_certificate_is_asked_for():
    assert ServingCertificate().context().verify_mode is ssl.CERT_NONE
