"""What a failed request says: what went wrong, and whether the server may have acted."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from engine.base.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    Expired,
    Garbled,
    Missing,
    OutcomeUnknown,
    Refused,
    RemoteError,
    Throttled,
    Unreachable,
)
from engine.base.kinds import Key
from engine.machineconfig.certificates import issue_server_certificate, make_authority
from tests.unit.kube.conftest import THING, thing

KEY = Key(THING, "default", "a")


@pytest.mark.parametrize(
    ("code", "reason", "expected", "word"),
    [
        (400, "BadRequest", Refused, "BadRequest"),
        (401, "Unauthorized", Denied, "Unauthorized"),
        (403, "Forbidden", Denied, "Forbidden"),
        (404, "NotFound", Missing, "NotFound"),
        (409, "Conflict", Conflict, "Conflict"),
        (409, "AlreadyExists", AlreadyExists, "AlreadyExists"),
        (410, "Expired", Expired, "Expired"),
        (410, "Gone", Expired, "Gone"),
        (422, "Invalid", Refused, "Invalid"),
        (429, "TooManyRequests", Throttled, "TooManyRequests"),
        (500, "InternalError", RemoteError, "InternalError"),
        (503, "ServiceUnavailable", RemoteError, "ServiceUnavailable"),
    ],
)
def test_an_answer_is_known_as_sent_and_has_its_type(serve, connect, code, reason, expected, word):
    client = connect(serve(lambda asked, wire: wire.refuse(code, reason, "because")))
    with pytest.raises(RemoteError) as told:
        client.create(THING, "default", thing("a"))
    assert type(told.value) is expected
    assert (told.value.code, told.value.sent, told.value.message) == (word, "yes", "because")
    assert str(told.value) == "CREATE Thing default/a kubernetes: because"


def test_causes_that_the_message_leaves_out_are_told(serve, connect):
    causes = [{"field": "spec.replicas", "message": "must be odd"}, {"field": "x", "message": "because"}]
    client = connect(serve(lambda asked, wire: wire.refuse(422, "Invalid", "because", causes=causes)))
    with pytest.raises(Refused, match=r"because; spec\.replicas: must be odd$"):
        client.get(KEY)


def test_the_pause_that_the_server_asks_for_is_carried(serve, connect):
    replies = [{"retryAfterSeconds": 7}, {}, {}]
    headers = [(), ("Retry-After: 3",), ()]
    answers = iter(zip([503, 429, 429], replies, headers, strict=True))

    def script(asked, wire):
        code, details, header = next(answers)
        wire.refuse(code, "", "later", headers=header, **details)

    client = connect(serve(script))
    pauses = []
    for _ in range(3):
        with pytest.raises(Throttled) as told:
            client.get(KEY)
        pauses.append(told.value.retry_after_s)
    assert pauses == [7.0, 3.0, None]


def test_a_refusal_without_a_status_body_is_told_by_its_number(serve, connect):
    client = connect(
        serve(lambda asked, wire: wire.raw(b"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\noops"))
    )
    with pytest.raises(RemoteError, match="answered 502") as told:
        client.get(KEY)
    assert told.value.sent == "yes"


def test_a_refused_dial_is_known_as_not_sent(connect):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match="cannot connect: Connection refused") as told:
        connect(f"http://127.0.0.1:{port}").create(THING, "default", thing("a"))
    assert told.value.sent == "no"


def test_silence_after_a_write_leaves_its_outcome_unknown_and_ends_in_time(serve, connect):
    server = serve(lambda asked, wire: wire.wait())
    client = connect(server, deadline_s=0.2)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown) as told:
        client.create(THING, "default", thing("a"))
    assert (told.value.sent, told.value.code) == ("unknown", "Silent")
    assert time.monotonic() - began < 5
    assert len(server.asked) == 1


def test_an_answer_that_trickles_in_ends_at_the_deadline(serve, connect):
    def script(asked, wire):
        wire.begin()
        while not wire.stopping.wait(0.02):
            wire.chunk(b" ")

    with pytest.raises(OutcomeUnknown) as told:
        connect(serve(script), deadline_s=0.3).get(KEY)
    assert told.value.code == "Silent"


def test_a_connection_that_breaks_after_a_write_leaves_its_outcome_unknown(serve, connect):
    server = serve(lambda asked, wire: wire.reset())
    with pytest.raises(OutcomeUnknown) as told:
        connect(server).patch(KEY, {})
    assert told.value.sent == "unknown"
    assert len(server.asked) == 1


def test_a_read_over_a_connection_that_broke_is_tried_once_more(serve, connect):
    server = serve(lambda asked, wire: wire.reset() if len(server.asked) == 1 else wire.json(thing("a")))
    assert connect(server).get(KEY)["metadata"]["name"] == "a"
    assert len(server.asked) == 2


def test_half_an_answer_is_no_answer_but_shows_that_the_server_acted(serve, connect):
    def script(asked, wire):
        wire.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        wire.reset()

    with pytest.raises(OutcomeUnknown) as told:
        connect(serve(script)).create(THING, "default", {})
    assert told.value.sent == "yes"


@pytest.mark.parametrize("body", [b"{broken", b"[]"])
def test_an_answer_that_is_no_object_is_garbled(serve, connect, body):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with pytest.raises(Garbled) as told:
        connect(serve(lambda asked, wire: wire.raw(head + body))).get(KEY)
    assert told.value.sent == "yes"


def test_a_server_with_an_unknown_certificate_gets_nothing(serve, connect, tmp_path):
    authority = make_authority("p256", "test", now=time.time())
    pair = issue_server_certificate(authority, addresses=("127.0.0.1",), now=time.time())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "crt").write_text(pair.crt)
    (tmp_path / "key").write_text(pair.key)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    server = serve(lambda asked, wire: wire.json(thing("a")), context=context)
    with pytest.raises(Unreachable, match="certificate is not trusted") as told:
        connect(server).create(THING, "default", {})
    assert (told.value.sent, told.value.code) == ("no", "CertificateUnknown")
    assert server.asked == []
