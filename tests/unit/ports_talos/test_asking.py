"""Questions go over the connection that a machine is watched over, and what changes a machine never does."""

from __future__ import annotations

import threading

import grpc
import pytest
from talos_node import address, eventually, identity, refuse, reply

from engine import protocol
from engine.base.errors import Denied, OutcomeUnknown, RemoteError
from engine.ports.talos import connections
from engine.ports.talos.address import parse_address
from engine.ports.talos.watched import Wanted
from tests.unit.ports_talos.test_watches import ONE, WHO, Resources, Told, wanted

LIST = "cosi.resource.State/List"


@pytest.fixture
def node(network, call):
    """A node that is watched; `accepted` is 1."""
    made = network.node(1)
    made.handlers["Watch"] = Resources()
    told = Told()
    call.client.watches.tell(told)
    call.client.watches.keep("m", wanted(1, ONE))
    assert eventually(lambda: told.count("opened") == 1)
    made.told = told
    return made


def test_many_questions_at_once_share_the_connection_and_each_is_counted(node, call):
    async def all_of_them():
        return [await each for each in [call.work(address(1), WHO) for _ in range(20)]]

    replies = call.client.run(all_of_them(), timeout_s=20)
    assert [each[0].messages[0].version.tag for each in replies] == ["v1.13.0"] * 20
    assert node.accepted == 1
    assert [each.code for each in call.records if each.method.endswith("Version")] == ["OK"] * 20


def test_a_refusal_keeps_its_kind_and_its_words(node, call):
    node.handlers["Version"] = refuse(grpc.StatusCode.PERMISSION_DENIED, "not authorized")
    with pytest.raises(Denied, match="not authorized") as caught:
        call(address(1), WHO)
    assert (caught.value.code, caught.value.sent) == ("PERMISSION_DENIED", "yes")
    assert node.accepted == 1


def test_an_error_inside_an_answer_is_an_error(node, call):
    def failing(_request, _context):
        answer = reply("VersionResponse")
        part = answer.messages.add()
        part.metadata.error, part.metadata.status.code = "no such node", 14
        return answer

    node.handlers["Version"] = failing
    with pytest.raises(RemoteError, match="no such node"):
        call(address(1), WHO)


def test_a_list_is_whole_and_no_longer_than_asked_for(node, call):
    def listed(_request, _context):
        for number in range(50):
            answer = protocol.message_class("cosi.resource.ListResponse")()
            answer.resource.metadata.id = str(number)
            yield answer

    node.handlers["List"] = listed
    assert [each.resource.metadata.id for each in call(address(1), WHO, LIST)] == [str(n) for n in range(50)]
    assert len(call(address(1), WHO, LIST, limit=7)) == 7
    assert call(address(1), WHO)
    assert node.accepted == 1


class Noting:
    """Stands before a buffer and notes the most that was in it."""

    def __init__(self, buffer):
        self.buffer, self.most = buffer, 0

    def write(self, data):
        self.buffer.write(data)
        self.most = max(self.most, self.buffer.pending)

    def write_eof(self):
        self.buffer.write_eof()


def test_a_long_answer_never_makes_the_buffer_long_that_the_connection_keeps_for_its_life(node, call):
    def long(_request, _context):
        answer = reply("VersionResponse")
        answer.messages.add().version.tag = "x" * 300_000
        return answer

    node.handlers["Version"] = long
    connection = call.client.watches.connection(parse_address(address(1), loopback_only=True), WHO)
    noting = connection._node.incoming = Noting(connection._node.incoming)
    assert len(call(address(1), WHO)[0].messages[-1].version.tag) == 300_000
    assert 0 < noting.most <= 4096
    assert node.accepted == 1


def test_a_question_without_an_answer_ends_at_its_deadline_and_the_watch_goes_on(node, call):
    gate = threading.Event()
    node.handlers["Version"] = lambda _request, _context: gate.wait(10) and reply("VersionResponse")
    with pytest.raises(OutcomeUnknown) as caught:
        call(address(1), WHO, deadline_s=0.3)
    gate.set()
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert call.client.watches.is_open("m")
    node.handlers["Watch"].change()
    assert eventually(lambda: node.told.count("changed") == 1)


def test_a_question_that_the_connection_ends_under_has_no_answer(node, call):
    gate = threading.Event()

    def cut(_request, _context):
        node.cut(reset=True)
        gate.wait(5)
        return reply("VersionResponse")

    node.handlers["Version"] = cut
    with pytest.raises(OutcomeUnknown) as caught:
        call(address(1), WHO)
    gate.set()
    assert caught.value.sent == "unknown"


def test_nobody_is_answered_after_the_watch_was_taken_away(node, call):
    gate = threading.Event()

    def unwanted(_request, _context):
        call.client.watches.keep("m", None)
        gate.wait(5)
        return reply("VersionResponse")

    node.handlers["Version"] = unwanted
    with pytest.raises(OutcomeUnknown):
        call(address(1), WHO)
    gate.set()


@pytest.mark.parametrize(
    ("method", "who", "options"),
    [
        ("Reboot", WHO, {}),
        ("Version", identity(), {}),
        ("Version", WHO, {"exclusive": True}),
    ],
)
def test_what_changes_a_machine_another_identity_and_an_exclusive_call_go_their_own_way(
    node, call, method, who, options
):
    node.handlers["Reboot"] = lambda _request, _context: reply("RebootResponse")
    call(address(1), who, method, **options)
    assert node.accepted == 2


def test_beside_its_watch_a_machine_has_no_other_connection_for_longer_than_a_burst(
    network, callers, monkeypatch
):
    monkeypatch.setattr(connections, "BRIEFLY_IDLE_S", 0.2)
    watched, other, call, told = network.node(1), network.node(2), callers(), Told()
    watched.handlers |= {"Watch": Resources(), "Reboot": lambda _request, _context: reply("RebootResponse")}
    call.client.watches.tell(told)
    call.client.watches.keep("m", wanted(1, ONE))
    assert eventually(lambda: told.count("opened") == 1)
    call(address(2), WHO)
    call(address(1), WHO, "Reboot")
    assert watched.accepted == 2
    assert eventually(lambda: len(watched.open) == 1)
    assert call(address(1), WHO)
    assert (watched.accepted, len(other.open), told.count("ended")) == (2, 1, 0)


def test_a_machine_that_is_not_watched_yet_is_asked_as_ever(network, call):
    network.node(1)
    call.client.watches.keep("m", Wanted(wanted(1).address, identity(), (ONE,)))
    assert call(address(1), WHO)
