"""One watch: what arrives, and how it ends."""

from __future__ import annotations

import json
import threading

import pytest

from engine.base.errors import Denied, Expired, Garbled, OutcomeUnknown, RemoteError
from tests.unit.kube.conftest import THING, thing


def watched(serve, connect, steps, **more):
    def script(asked, wire):
        wire.begin()
        steps(wire)
        wire.end()

    server = serve(script)
    stream = connect(server, **more).watch(THING, resource_version="5", timeout_s=300)
    return server, stream


def test_events_and_bookmarks_arrive_in_order(serve, connect):
    def steps(wire):
        wire.event("ADDED", thing("a", "6"))
        wire.event("MODIFIED", thing("a", "7"))
        wire.event("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
        wire.event("DELETED", thing("a", "10"))

    server, stream = watched(serve, connect, steps)
    assert [event.type for event in stream] == ["ADDED", "MODIFIED", "BOOKMARK", "DELETED"]
    assert server.asked[0].query == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": "5",
        "timeoutSeconds": "300",
    }


def test_events_survive_any_cut_into_pieces(serve, connect):
    lines = [
        json.dumps({"type": "ADDED", "object": thing(f"é{number}")}, ensure_ascii=False)
        for number in range(3)
    ]
    data = "\n".join([*lines, ""]).encode()

    def steps(wire):
        for at in range(0, len(data), 7):
            wire.chunk(data[at : at + 7])

    _, stream = watched(serve, connect, steps)
    assert [event.object["metadata"]["name"] for event in stream] == ["é0", "é1", "é2"]


def test_an_event_is_there_as_soon_as_its_line_is(serve, connect):
    _, stream = watched(serve, connect, lambda wire: (wire.event("ADDED", thing("a")), wire.wait()))
    assert next(stream).object["metadata"]["name"] == "a"
    stream.close()


def test_a_version_that_is_too_old_is_told_at_connect(serve, connect):
    client = connect(serve(lambda asked, wire: wire.refuse(410, "Expired", "too old resource version")))
    with pytest.raises(Expired):
        client.watch(THING, resource_version="5", timeout_s=300)


@pytest.mark.parametrize("status", [{"code": 410, "reason": "Expired"}, {"code": 410, "reason": "Gone"}])
def test_a_version_that_is_too_old_is_told_inside_the_stream(serve, connect, status):
    _, stream = watched(serve, connect, lambda wire: wire.event("ERROR", {"kind": "Status", **status}))
    with pytest.raises(Expired):
        next(stream)


def test_other_errors_in_the_stream_have_their_types(serve, connect):
    status = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no more"}
    _, stream = watched(serve, connect, lambda wire: wire.event("ERROR", status))
    with pytest.raises(Denied, match="no more"):
        next(stream)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type": "ADDED", "object": {\n',
        b"[]\n",
        b'{"type": "ADDED"}\n',
        b'{"type": "SURPRISE", "object": {"metadata": {}}}\n',
        b'{"type": "ADDED", "object": {"kind": "Status"}}\n',
    ],
)
def test_what_is_no_event_is_garbled(serve, connect, line):
    _, stream = watched(serve, connect, lambda wire: wire.chunk(line))
    with pytest.raises(Garbled):
        next(stream)


def test_half_an_event_at_the_end_is_garbled_not_lost(serve, connect):
    _, stream = watched(serve, connect, lambda wire: wire.chunk(b'{"type": "ADDED", "obj'))
    with pytest.raises(Garbled, match="ended inside an event"):
        next(stream)


def test_a_stream_that_breaks_is_an_error_and_no_end(serve, connect):
    _, stream = watched(serve, connect, lambda wire: (wire.event("ADDED", thing("a")), wire.reset()))
    next(stream)
    with pytest.raises(OutcomeUnknown):
        next(stream)


def test_silence_beyond_the_servers_own_end_is_an_error(serve, connect, monkeypatch):
    monkeypatch.setattr("engine.ports.kube.client._WATCH_GRACE_S", 0.1)

    def script(asked, wire):
        wire.begin()
        wire.wait()

    client = connect(serve(script))
    with pytest.raises(RemoteError) as told:
        next(client.watch(THING, resource_version="5", timeout_s=0.1))
    assert told.value.code == "Silent"


def test_closing_wakes_a_reader_that_waits(serve, connect):
    _, stream = watched(serve, connect, lambda wire: (wire.event("ADDED", thing("a")), wire.wait()))
    next(stream)
    seen = []
    reader = threading.Thread(target=lambda: seen.append(list(stream)))
    reader.start()
    stream.close()
    reader.join(5)
    assert seen == [[]]


def test_leaving_the_block_closes_the_connection(serve, connect, until):
    gone = threading.Event()

    def steps(wire):
        wire.event("ADDED", thing("a"))
        try:
            wire.wait()
        finally:
            gone.set()

    _, stream = watched(serve, connect, steps)
    with stream:
        next(stream)
    assert gone.wait(5)
