"""Who may read the metrics, with which certificate, and what the answer looks like."""

from __future__ import annotations

import http.client
import ssl
import time

import pytest
from prometheus_client.openmetrics import parser as strict
from prometheus_client.parser import text_string_to_metric_families

from engine.base.errors import SettingsError, Unreachable
from engine.exposition import CONTENT_TYPE
from engine.listener import Listener, Request
from engine.machineconfig.certificates import facts, issue_server_certificate, make_authority
from engine.ports.kube.review import UserInfo
from engine.process_metrics import process_text
from engine.serve import Gate, ServingCertificate, metrics_handler
from engine.settings import BindAddress

PROMETHEUS = UserInfo("prometheus", "u1", ("monitoring",), {"scope": ("a",)})


class FakeReviewer:
    def __init__(self):
        self.tokens = {"good": PROMETHEUS, "poor": UserInfo("nobody")}
        self.asked = []
        self.broken = False

    def review_token(self, token):
        self.asked.append(("token", token))
        if self.broken:
            raise Unreachable("no API server", sent="no")
        return self.tokens.get(token)

    def review_access(self, user, question):
        self.asked.append(("access", user.username, question.path, question.verb))
        return user is PROMETHEUS


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def ask(gate, token=None, path="/metrics"):
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    answer = metrics_handler(lambda _: b"m 1\n", gate)(Request("GET", path, {}, headers))
    return answer.status


def test_only_a_token_that_may_read_metrics_gets_them():
    reviewer = FakeReviewer()
    gate = Gate(reviewer)
    assert ask(gate) == 401
    assert ask(gate, "unknown") == 401
    assert ask(gate, "poor") == 403
    assert ask(gate, "good") == 200
    assert ("access", "prometheus", "/metrics", "get") in reviewer.asked
    assert ask(gate, "good", "/other") == 404


def test_answers_are_remembered_as_long_as_controller_runtime_does():
    reviewer, clock = FakeReviewer(), Clock()
    gate = Gate(reviewer, clock)

    def questions(token):
        reviewer.asked.clear()
        ask(gate, token)
        return [question[0] for question in reviewer.asked]

    assert questions("good") == ["token", "access"]
    assert questions("poor") == ["token", "access"]
    clock.now = 29
    assert questions("poor") == []
    clock.now = 31
    assert questions("poor") == ["access"]
    clock.now = 61
    assert questions("good") == ["token"]
    clock.now = 301
    assert questions("good") == ["token", "access"]


def test_without_an_api_server_nobody_new_comes_in_and_nothing_wrong_is_remembered():
    reviewer = FakeReviewer()
    gate = Gate(reviewer)
    reviewer.broken = True
    assert ask(gate, "good") == 503
    reviewer.broken = False
    assert ask(gate, "good") == 200


def pair_in(folder, now):
    authority = make_authority("p256", "test", now=now)
    pair = issue_server_certificate(authority, addresses=("127.0.0.1",), now=now)
    (folder / "tls.crt").write_text(pair.crt)
    (folder / "tls.key").write_text(pair.key)
    return pair.crt


def shown_by(port):
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=5)


def test_mounted_files_are_taken_up_when_they_change_and_a_broken_pair_is_not(tmp_path):
    clock, read = Clock(), []
    first = pair_in(tmp_path, time.time())
    certificate = ServingCertificate(tmp_path, clock=clock, on_read=read.append)
    address = BindAddress("127.0.0.1", 0)
    listener = Listener(address, "--flag", metrics_handler(lambda _: b""), context=certificate.context)
    listener.start()
    try:
        assert shown_by(listener.port).strip() == first.strip()
        second = pair_in(tmp_path, time.time())
        assert shown_by(listener.port).strip() == first.strip()
        clock.now = 11
        assert shown_by(listener.port).strip() == second.strip()
        (tmp_path / "tls.key").write_text("broken")
        clock.now = 22
        assert shown_by(listener.port).strip() == second.strip()
        assert read == ["success", "success", "error"]
        certificate_of_another_key = pair_in(tmp_path, time.time())
        pair_in(tmp_path, time.time())
        (tmp_path / "tls.crt").write_text(certificate_of_another_key)
        clock.now = 33
        assert shown_by(listener.port).strip() == second.strip()
        assert read == ["success", "success", "error", "error"]
        third = pair_in(tmp_path, time.time())
        clock.now = 44
        assert shown_by(listener.port).strip() == third.strip()
        assert certificate.expires() == facts(third).not_after
    finally:
        listener.stop()


def test_unusable_mounted_files_stop_the_start(tmp_path):
    with pytest.raises(SettingsError, match=r"tls\.crt: No such file"):
        ServingCertificate(tmp_path)
    (tmp_path / "tls.crt").write_text("x")
    (tmp_path / "tls.key").write_text("x")
    with pytest.raises(SettingsError, match="unusable"):
        ServingCertificate(tmp_path)


def test_an_own_certificate_is_made_anew_at_half_of_its_time():
    clock = Clock()
    certificate = ServingCertificate(clock=clock)
    first = certificate.context()
    assert certificate.context() is first
    clock.now = 200 * 86400
    assert certificate.context() is not first


def test_the_endpoint_serves_https_with_an_own_certificate():
    address = BindAddress("127.0.0.1", 0)
    handler = metrics_handler(lambda _: b"m 1\n", Gate(FakeReviewer()))
    listener = Listener(address, "--flag", handler, context=ServingCertificate().context)
    listener.start()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", listener.port, timeout=5, context=context)
        connection.request("GET", "/metrics", headers={"Authorization": "Bearer good"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert answer.read() == b"m 1\n"
        connection.close()
    finally:
        listener.stop()


def test_the_process_tells_of_itself_without_created_series():
    text = process_text()("text").decode()
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {
        "process_cpu_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
        "python_info",
    } <= families
    assert "_created" not in text


ASKED = (
    ("", "text"),
    ("*/*", "text"),
    ("text/html", "text"),
    ("application/openmetrics-text", "openmetrics"),
    ("application/openmetrics-text;version=2.0.0", "text"),
    # What Prometheus 2 and 3 send.
    (
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        "openmetrics",
    ),
    ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4", "text"),
    ("application/openmetrics-text;q=0, text/plain", "text"),
    ("application/openmetrics-text;q=much", "text"),
)


@pytest.mark.parametrize(("accept", "form"), ASKED)
def test_a_reader_gets_the_form_that_it_takes_best(accept, form):
    answer = metrics_handler(lambda given: given.encode() + b"\n")(
        Request("GET", "/metrics", {}, {"accept": accept})
    )
    assert answer.body.startswith(form.encode())
    assert answer.content_type == CONTENT_TYPE[form]
    assert answer.body.endswith(b"# EOF\n") == (form == "openmetrics")


def test_the_metrics_of_the_process_are_there_in_both_forms():
    process = process_text()
    text = {each.name for each in text_string_to_metric_families(process("text").decode())}
    openmetrics = process("openmetrics").decode() + "# EOF\n"
    assert text == {each.name for each in strict.text_string_to_metric_families(openmetrics)}
