"""The receive path for long streams: what each frame does, and that no bytes do harm."""

from __future__ import annotations

import os
import random
import struct
import tracemalloc

import pytest
from hpack import Encoder

from engine.ports.talos.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Connection,
    ServerStream,
)  # fmt: skip
from tests.unit.ports_talos.http2_script import ANSWER, drawn, frame, message

SEED = int(os.environ.get("TALOS_OPERATOR_TEST_SEED", "20261128"))
COUNT = int(os.environ.get("TALOS_OPERATOR_TEST_RUNS", "100"))
OK = [("grpc-status", "0")]


def opened(**options):
    """A stream whose node has said its SETTINGS; what it sent by then is forgotten."""
    stream = ServerStream("127.0.0.1:50000", "machine.MachineService/EtcdSnapshot", b"", **options)
    stream.feed(frame(SETTINGS))
    stream.outgoing.clear()
    return stream


def answered(**options):
    stream = opened(**options)
    stream.feed(frame(HEADERS, END_HEADERS, 1, Encoder().encode(ANSWER)))
    return stream


def given(stream, data):
    return [bytes(each) for each in stream.feed(data)]


def test_the_request_goes_out_whole_before_the_node_has_said_anything():
    stream = ServerStream("127.0.0.1:50000", "a.B/C", b"hello")
    sent = bytes(stream.outgoing)
    assert sent.startswith(PREFACE)
    kinds = []
    place = len(PREFACE)
    while place < len(sent):
        kinds.append(sent[place + 3])
        place += 9 + int.from_bytes(sent[place : place + 3], "big")
    assert kinds == [SETTINGS, WINDOW_UPDATE, HEADERS, DATA]
    assert sent.endswith(message(b"hello"))


def test_a_request_that_would_need_flow_control_is_refused():
    with pytest.raises(ValueError, match="streams take small ones"):
        ServerStream("127.0.0.1:50000", "a.B/C", bytes(16384))


def test_settings_and_pings_are_acknowledged_at_once():
    stream = opened()
    stream.feed(frame(SETTINGS) + frame(PING, 0, 0, b"12345678") + frame(PING, ACK, 0, b"12345678"))
    assert stream.outgoing == frame(SETTINGS, ACK) + frame(PING, ACK, 0, b"12345678")


def test_the_window_is_given_back_before_it_is_used_up():
    stream = answered(window=100000)
    content = bytes(9000)
    for _ in range(6):
        assert given(stream, frame(DATA, 0, 1, message(content))) == [content]
    returned = (6 * 9005).to_bytes(4, "big")
    assert stream.outgoing == frame(WINDOW_UPDATE, 0, 0, returned) + frame(WINDOW_UPDATE, 0, 1, returned)


def test_a_node_that_sends_more_than_was_asked_for_is_cut_off():
    stream = answered(window=65535)
    stream.feed(frame(DATA, 0, 1, message(bytes(16000))[:16000]) * 5)
    assert stream.ended.status.message == "more data than was asked for"


def test_a_goaway_that_leaves_our_stream_out_says_that_nothing_was_begun():
    stream = opened()
    stream.feed(frame(GOAWAY, 0, 0, struct.pack(">II", 0, 11) + b"too_many_pings"))
    assert (stream.ended.status.number, stream.ended.refused) == (14, True)
    assert "too_many_pings" in stream.ended.status.message


def test_a_goaway_that_leaves_our_stream_in_lets_it_end_and_names_the_cause_when_it_does_not():
    told = frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0) + b"shutting down")
    stream = answered()
    assert given(stream, told + frame(DATA, 0, 1, message(b"x"))) == [b"x"]
    assert stream.ended is None
    stream.lost("the machine closed the connection")
    assert "shutting down" in stream.ended.status.message


@pytest.mark.parametrize(
    ("code", "number", "refused"),
    [(7, 14, True), (8, 1, False), (11, 8, False), (12, 7, False), (2, 13, False)],
)
def test_a_reset_means_what_its_code_says(code, number, refused):
    stream = answered()
    stream.feed(frame(RST_STREAM, 0, 1, code.to_bytes(4, "big")))
    assert (stream.ended.status.number, stream.ended.refused) == (number, refused)


def test_an_end_inside_a_message_is_never_an_ok():
    stream = answered()
    stream.feed(frame(DATA, 0, 1, message(b"whole")[:-1]))
    stream.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, Encoder().encode(OK)))
    assert stream.ended.status.message == "the stream ended inside a message"


def test_informational_headers_are_passed_over():
    stream = opened()
    encoder = Encoder()
    for fields in ([(":status", "103")], ANSWER):
        stream.feed(frame(HEADERS, END_HEADERS, 1, encoder.encode(fields)))
    assert given(stream, frame(DATA, 0, 1, message(b"x"))) == [b"x"]


def test_a_message_that_is_longer_than_the_caller_takes_ends_the_call_before_it_is_kept():
    stream = answered(max_message=100)
    stream.feed(frame(DATA, 0, 1, message(bytes(200))[:50]))
    assert stream.ended.status.number == 8


def two_calls():
    """A connection with two calls that the node has answered."""
    connection = Connection("127.0.0.1:50000", window=100000)
    first, second = connection.open("a.B/C", b"1"), connection.open("a.B/D", b"2")
    encoder = Encoder()
    encoder.header_table_size = 0
    answers = b"".join(
        frame(HEADERS, END_HEADERS, call.number, encoder.encode(ANSWER)) for call in (first, second)
    )
    connection.feed(frame(SETTINGS) + answers)
    connection.outgoing.clear()
    return connection, first, second


def test_calls_of_one_connection_get_their_own_messages_and_end_by_themselves():
    connection, first, second = two_calls()
    connection.feed(
        frame(DATA, 0, second.number, message(b"two")) + frame(DATA, 0, first.number, message(b"one")[:4])
    )
    connection.feed(frame(DATA, 0, first.number, message(b"one")[4:]))
    assert [bytes(each) for each in first.take()] == [b"one"]
    assert [bytes(each) for each in second.take()] == [b"two"]
    connection.feed(
        frame(HEADERS, END_HEADERS | END_STREAM, first.number, Encoder().encode([("grpc-status", "7")]))
    )
    assert (first.ended.status.number, second.ended) == (7, None)
    connection.feed(
        frame(DATA, 0, first.number, message(b"late")) + frame(DATA, 0, second.number, message(b"more"))
    )
    assert [bytes(each) for each in second.take()] == [b"more"]
    connection.lost("the machine closed the connection")
    assert (first.ended.status.number, second.ended.status.number) == (7, 14)


def test_a_goaway_ends_only_the_calls_that_the_node_did_not_begin():
    connection, first, second = two_calls()
    connection.feed(frame(GOAWAY, 0, 0, struct.pack(">II", first.number, 0) + b"bye"))
    assert first.ended is None
    assert second.ended.refused


def test_the_windows_of_the_connection_and_of_its_calls_are_given_back_each_for_itself():
    connection, first, second = two_calls()
    for _ in range(3):
        for call in (first, second):
            connection.feed(frame(DATA, 0, call.number, message(bytes(9000))))
    assert connection.outgoing == frame(WINDOW_UPDATE, 0, 0, (6 * 9005).to_bytes(4, "big"))


def test_what_a_node_of_ours_says_in_headers_leaves_nothing_behind():
    connection, first, _ = two_calls()
    assert connection._decoder is None
    encoder = Encoder()
    encoder.header_table_size = 0
    connection.feed(
        frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            first.number,
            encoder.encode([("grpc-status", "5"), ("grpc-message", "no%20such")]),
        )
    )
    assert (first.ended.status.number, first.ended.status.message) == (5, "no such")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("the first frame is no SETTINGS", frame(PING, 0, 0, bytes(8))),
        ("a frame of", b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"),
        ("wrong SETTINGS", frame(SETTINGS, 0, 0, b"12345")),
        ("a wrong PING", frame(SETTINGS) + frame(PING, 0, 0, b"1")),
        ("a push", frame(SETTINGS) + frame(PUSH_PROMISE, 0, 1, bytes(4))),
        ("a wrong WINDOW_UPDATE", frame(SETTINGS) + frame(WINDOW_UPDATE, 0, 0, bytes(4))),
        ("data before headers", frame(SETTINGS) + frame(DATA, 0, 1, message(b"x"))),
        ("data of stream 3", frame(SETTINGS) + frame(DATA, 0, 3, b"")),
        ("a continuation of nothing", frame(SETTINGS) + frame(CONTINUATION, END_HEADERS, 1, b"")),
        ("a header block is interrupted", frame(SETTINGS) + frame(HEADERS, 0, 1, b"") + frame(PING, 0, 0, bytes(8))),
        ("headers that cannot be read", frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff")),
        ("more padding than frame", frame(SETTINGS) + frame(HEADERS, 0x8 | END_HEADERS, 1, b"\x05ab")),
        ("headers of more than", frame(SETTINGS) + frame(HEADERS, 0, 1, b"") + frame(CONTINUATION, 0, 1, bytes(16000)) * 5),
    ],
)  # fmt: skip
def test_a_node_that_breaks_the_protocol_ends_the_call_with_what_it_did(name, data):
    stream = ServerStream("127.0.0.1:50000", "a.B/C", b"")
    stream.feed(data)
    assert stream.ended.status.number == 13
    assert name in stream.ended.status.message


def test_a_compressed_message_is_refused():
    stream = answered()
    stream.feed(frame(DATA, 0, 1, b"\1" + message(b"x")[1:]))
    assert "compressed" in stream.ended.status.message


def heard(script, draw):
    """What a stream makes of a script that comes in pieces of drawn sizes."""
    stream = ServerStream("127.0.0.1:50000", "a.B/C", b"")
    data, messages = b"".join(script.frames), []
    while data:
        size = draw.choice((1, 2, 9, 14, 1000, 70000))
        messages.extend(given(stream, data[:size]))
        data = data[size:]
    stream.lost("the connection ended")
    return messages, stream.ended


@pytest.mark.parametrize("seed", random.Random(SEED).sample(range(1 << 32), COUNT))
def test_whatever_the_pieces_the_messages_and_the_end_are_the_same(seed):
    script = drawn(seed)
    first = heard(script, random.Random(seed))
    assert first == heard(script, random.Random(seed + 1))
    assert script.messages[: len(first[0])] == first[0]
    if first[1].status.is_ok:
        assert first[0] == script.messages


@pytest.mark.parametrize("seed", random.Random(SEED + 1).sample(range(1 << 32), COUNT))
def test_no_damaged_bytes_raise_anything_or_give_a_message_that_was_not_sent_as_ok(seed):
    draw = random.Random(seed)
    script = drawn(seed)
    data = bytearray(b"".join(script.frames))
    for _ in range(draw.choice((1, 3, 50))):
        place = draw.randrange(len(data))
        match draw.choice(("flip", "cut", "insert")):
            case "flip":
                data[place] ^= 1 << draw.randrange(8)
            case "cut":
                del data[place : place + draw.randrange(1, 40)]
            case _:
                data[place:place] = draw.randbytes(draw.randrange(1, 40))
        if not data:
            break
    stream = ServerStream("127.0.0.1:50000", "a.B/C", b"")
    for place in range(0, len(data), 777):
        for each in stream.feed(bytes(data[place : place + 777])):
            assert len(each) <= 32 << 20
    stream.lost("the connection ended")
    assert stream.ended is not None


def test_a_stream_keeps_no_more_than_a_frame_and_a_message():
    stream = answered()
    piece = frame(DATA, 0, 1, message(bytes(1024))) * 64
    stream.feed(piece)
    tracemalloc.start()
    try:
        for _ in range(200):
            stream.feed(piece)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 200_000
