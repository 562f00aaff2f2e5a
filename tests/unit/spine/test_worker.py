"""A pass from its key to its result, what becomes of the key, and that no thread ever dies of it."""

from __future__ import annotations

import asyncio
import threading

import pytest

from engine.base.errors import (
    Conflict,
    Denied,
    EngineError,
    ExpressionError,
    Missing,
    OutcomeUnknown,
    Refused,
    Throttled,
    Unreachable,
)
from engine.base.kinds import Key, Kind
from engine.patience import Patience
from engine.worker import DEFAULT_EVERY_S, SHORTEST_EVERY_S, STALE_S, WAIT_S
from tests.unit.spine.capabilities import ANSWERS, CALLS
from tests.unit.spine.server import LEASE, spine, until
from tests.unit.spine.world import CONFIG_MAP

PLAIN = """
on: {every: 30s, backoff: {initial: 1s, max: 8s}}
observe:
  a: {call: test.read, with: {of: a}}
act:
  - {id: s, when: "${obs.a.text == 'go'}", call: test.change, with: {address: x}}
conditions:
  - {type: Fine, unless: [{when: "${obs.a.text == 'bad'}", reason: Bad}]}
status: {word: "${default(obs.a.text, 'none')}"}
"""
GO, GOOD, BAD = {"text": "go"}, {"text": "good"}, {"text": "bad"}


@pytest.fixture
def over(server):
    with spine(server, PLAIN) as made:
        yield made


def settled(over, name="w", most=5):
    """Passes until one changes nothing; that one."""
    for _ in range(most):
        end = over.turn(name)
        if not end.soon:
            return end
    raise AssertionError(f"still changing after {most} passes: {end}")


def test_a_pass_over_an_object_at_rest_writes_nothing_and_comes_back_when_the_rule_says(over):
    ANSWERS["a"] = GOOD
    over.server.make()
    settled(over)
    over.server.requests.clear()
    end = over.turn()
    assert (end.result, end.delay_s, end.soon) == ("success", 30.0, False)
    assert over.server.writes() == []


def test_a_pass_that_waits_for_the_world_is_a_requeue(over):
    ANSWERS["a"] = BAD
    over.server.make()
    assert settled(over).result == "requeue"


def test_a_read_that_failed_is_no_failed_pass(over):
    ANSWERS["a"] = Unreachable("silent")
    over.server.make()
    end = settled(over)
    assert (end.result, end.delay_s) == ("requeue", 30.0)
    assert over.server.get()["status"]["conditions"][0]["status"] == "Unknown"


def test_a_key_without_an_object_drops_all_that_was_kept_of_it(over):
    over.server.make()
    ANSWERS["a"] = GOOD
    settled(over)
    assert over.readers._noted
    over.server.client.delete(over.server.key())
    assert over.turn().result == "not_found"
    assert not over.readers._noted
    assert not over.writes._overtaken


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Refused("no"), "error"),
        (Denied("no"), "error"),
        (OutcomeUnknown("silence"), "error"),
        (Throttled("later"), "error"),
        (Missing("nothing there"), "error"),
        (KeyError("odd"), "error"),
        (EngineError("odd"), "error"),
        (Conflict("somebody else"), "requeue"),
    ],
)
def test_how_a_step_fails_decides_the_result_and_whether_it_is_a_bug(over, error, result):
    ANSWERS.update({"a": GO, "change:x": error})
    over.server.make()
    end = over.turn()
    assert (end.result, end.bug) == (result, not isinstance(error, EngineError))


def test_whoever_asks_for_a_pause_is_left_alone_for_that_long(over):
    ANSWERS.update({"a": GO, "change:x": Throttled("later", retry_after_s=7.0)})
    over.server.make()
    assert over.turn().delay_s == 7.0


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Refused("no"), "error"),
        (Unreachable("refused"), "error"),
        (ExpressionError("odd"), "error"),
        (ZeroDivisionError("odd"), "error"),
        (Conflict("somebody else"), "requeue"),
        (Missing("gone, says an old answer"), "requeue"),
    ],
)
def test_every_error_outside_the_steps_becomes_a_result(over, monkeypatch, error, result):
    def fails(*_):
        raise error

    ANSWERS["a"] = GOOD
    over.server.make()
    monkeypatch.setattr(over.reporter, "publish", fails)
    end = over.turn()
    assert (end.result, end.bug) == (result, not isinstance(error, EngineError))


ENDING = """
on: {every: 10m}
finalize: {name: example.org/f, timeout: 10m, onTimeout: block, steps: []}
conditions: [{type: Fine, is: true}]
"""


def test_an_object_that_an_old_answer_calls_gone_is_let_go_at_the_next_look(server, monkeypatch):
    """An API server that lags says 404 where the object still waits for its finalizer to be taken away."""
    with spine(server, ENDING) as over:
        server.make(finalizers=["example.org/f"])
        server.client.delete(server.key())
        over.caught_up()

        def gone(*_):
            raise Missing("not there yet")

        with monkeypatch.context() as lagging:
            lagging.setattr(over.server.client, "get", gone)
            end = over.worker.pass_over(over.rule, server.key())
        assert end.delay_s is not None
        assert server.get() is not None
        over.turn()
        assert server.get() is None


def test_a_pass_over_what_our_own_write_has_overtaken_is_put_off(over):
    ANSWERS["a"] = GO
    before = over.server.make()
    over.caught_up()
    over.cache.stop()
    changed = over.server.client.patch_status(over.server.key(), {"status": {"word": "x"}})
    over.writes.note(over.server.key(), before, changed)
    end = over.worker.pass_over(over.rule, over.server.key())
    assert (end.result, end.soon) == ("requeue", True)
    assert CALLS == []


def test_a_step_that_was_sent_is_looked_at_soon(over):
    ANSWERS["a"] = GO
    over.server.make()
    end = over.turn()
    assert (end.result, end.soon) == ("requeue", True)


def test_what_a_pass_wrote_into_the_status_is_looked_at_once_more(over):
    ANSWERS["a"] = GOOD
    over.server.make()
    first, second = over.turn(), over.turn()
    assert (first.soon, second.soon) == (True, False)


LANE = """
on: {every: 10m}
act:
  - {id: s, call: test.disrupt, with: {address: "${self.metadata.name}"}, hazard: disruptive, lane: quorum}
conditions: [{type: Fine, is: true}]
"""


def test_who_waits_for_a_lane_asks_again_in_seconds_not_at_once_and_not_when_the_rule_would(server):
    with spine(server, LANE) as over:
        server.make("a")
        server.make("b")
        over.turn("a")
        over.turn("b")
        end = over.turn("b")
        assert (end.result, end.delay_s, end.soon) == ("requeue", WAIT_S, False)


@pytest.mark.parametrize(
    ("every", "delay"), [("5s", 5.0), ("0s", SHORTEST_EVERY_S), ("10ms", SHORTEST_EVERY_S), ("2m", 120.0)]
)
def test_a_rule_comes_back_when_it_says_but_never_faster_than_once_a_second(server, every, delay):
    text = f"on: {{every: {every}}}\nconditions: [{{type: Fine, is: true}}]\n"
    with spine(server, text) as over:
        server.make()
        assert settled(over).delay_s == delay


def test_a_rule_that_does_not_say_comes_back_after_a_minute(server):
    with spine(server, "conditions: [{type: Fine, is: true}]\n") as over:
        server.make()
        assert settled(over).delay_s == DEFAULT_EVERY_S


def test_an_interval_of_an_object_that_makes_no_sense_is_an_error_with_its_place(server, caplog):
    with spine(server, "on: {every: '${self.spec.any.wait}'}\n") as over:
        server.make(spec={"any": {"wait": "often"}})
        assert over.turn().result == "error"
        assert "on.every" in caplog.text


SERIAL = """
on: {serialize: "${self.spec.address}"}
observe:
  a: {call: test.read, with: {of: "${self.metadata.name}"}}
act:
  - {id: s, when: "${obs.a.text == 'go'}", call: test.change, with: {address: "${self.metadata.name}"}}
"""


def test_two_objects_with_one_token_never_work_at_the_same_time_and_look_only_when_it_is_theirs(server):
    with spine(server, SERIAL) as over:
        server.make("a", spec={"address": "one"})
        server.make("b", spec={"address": "one"})
        server.make("c", spec={"address": "two"})
        for name in "abc":
            over.caught_up(name)
        looked, go_on, started = [], threading.Event(), threading.Event()

        async def slow():
            started.set()
            await asyncio.to_thread(go_on.wait, 5)
            return GO

        async def look():
            looked.append("b")
            return GO

        ANSWERS.update({"a": slow, "b": look, "c": GO})
        first = threading.Thread(target=over.worker.pass_over, args=(over.rule, server.key("a")))
        first.start()
        try:
            started.wait(5)
            end = over.worker.pass_over(over.rule, server.key("b"))
            assert (end.result, looked) == ("requeue", [])
            over.worker.pass_over(over.rule, server.key("c"))
            assert CALLS == [("change", "c")]
        finally:
            go_on.set()
            first.join(10)
        over.worker.pass_over(over.rule, server.key("b"))
        assert CALLS == [("change", "c"), ("change", "a"), ("change", "b")]


def test_a_token_is_given_back_however_the_pass_ends(server):
    with spine(server, SERIAL) as over:
        server.make("a", spec={"address": "one"})
        ANSWERS.update({"a": GO, "change:a": KeyError("bug")})
        over.turn("a")
        ANSWERS["change:a"] = {"done": True}
        over.turn("a")
        assert CALLS == [("change", "a")] * 2


def test_a_token_that_needs_a_read_is_told_after_it(server):
    text = SERIAL.replace("${self.spec.address}", "${default(obs.a.text, 'none')}")
    with spine(server, text) as over:
        server.make("a")
        ANSWERS["a"] = GO
        over.turn("a")
        assert CALLS == [("change", "a")]


class Queue:
    """A queue that hands out given keys and writes down what becomes of them."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.told = []

    def get(self):
        return self.keys.pop(0) if self.keys else None

    def __getattr__(self, name):
        return lambda key, **more: self.told.append((name, *(round(value, 3) for value in more.values())))


def run(over, *keys):
    over.worker._queue = queue = Queue(*keys)
    over.worker.run()
    return queue.told


def test_what_becomes_of_a_key_follows_the_result(over):
    key = over.server.key()
    assert run(over, key) == [("forget",), ("done",)]
    ANSWERS["a"] = GOOD
    over.server.make()
    settled(over)
    over.caught_up()
    assert run(over, key) == [("forget",), ("add", 30.0), ("done",)]
    ANSWERS.update({"a": GO, "change:x": Refused("no")})
    assert run(over, key) == [("back_off", 1.0, 8.0, 0.0), ("done",)]


def test_passes_that_change_something_every_time_become_slower_and_a_quiet_one_ends_that(over):
    ANSWERS["a"] = GO
    over.server.make()
    delays = []
    for _ in range(9):
        over.caught_up()
        delays += [item[1] for item in run(over, over.server.key()) if item[0] == "add"]
    assert delays == [0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 1.6]
    ANSWERS["a"] = GOOD
    settled(over)
    over.caught_up()
    run(over, over.server.key())
    ANSWERS["a"] = GO
    over.caught_up()
    assert ("add", 0.1) in run(over, over.server.key())


def test_a_lasting_conflict_does_not_run_as_fast_as_it_can(over):
    ANSWERS.update({"a": GO, "change:x": Conflict("always")})
    over.server.make()
    delays = []
    for _ in range(14):
        over.caught_up()
        delays += [item[1] for item in run(over, over.server.key()) if item[0] == "add"]
    assert delays[0] == 0.1
    assert delays[-1] == 8.0


def test_patience_is_of_each_key_and_never_longer_than_asked():
    patience, one, two = Patience(), Key(CONFIG_MAP, "", "one"), Key(CONFIG_MAP, "", "two")
    for _ in range(40):
        assert patience.next_s(one, 3.0) <= 3.0
    assert patience.next_s(one, 3.0) == 3.0
    assert patience.next_s(two, 3.0) == 0.1
    patience.forget(one)
    assert patience.next_s(one, 3.0) == 0.1


def test_a_worker_survives_whatever_a_turn_ends_with(over, monkeypatch):
    ANSWERS["a"] = GOOD
    over.server.make()
    over.caught_up()
    stranger = Key(Kind("example.org", "v1", "Nobody", "nobodies"), "default", "x")

    def fails(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(over.meter, "passed", fails)
    told = run(over, stranger, over.server.key(), stranger)
    assert [item[0] for item in told].count("done") == 3
    assert ("add", DEFAULT_EVERY_S) in told


def test_a_pass_that_is_gone_wrong_leaves_the_lock_of_computing_free(over, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError

    ANSWERS["a"] = GOOD
    over.server.make()
    monkeypatch.setattr(over.meter, "measured", fails)
    assert over.turn().result == "error"
    assert not over.cpu.locked()


END = """
on: {every: 30s}
finalize:
  name: example.org/f
  steps: [{id: s, call: test.change, with: {address: x}}]
conditions: [{type: Fine, is: true}]
"""


def test_an_object_goes_with_its_end_done_and_is_then_not_found(server):
    with spine(server, END) as over:
        server.make()
        settled(over)
        assert server.get()["metadata"]["finalizers"] == ["example.org/f"]
        server.client.delete(server.key())
        end = over.turn()
        assert (end.result, end.delay_s) == ("success", STALE_S)
        assert over.turn().result == "not_found"
        assert CALLS == [("change", "x")]


def test_an_end_that_fails_is_told_and_tried_again(server):
    with spine(server, END) as over:
        server.make()
        settled(over)
        server.client.delete(server.key())
        ANSWERS["change:x"] = Refused("no")
        assert over.turn().result == "error"
        until("it is told", lambda: ("Warning", "SFailed", "no") in server.events())
        ANSWERS.clear()
        over.turn()
        assert server.get() is None


def test_a_dry_run_leaves_the_status_as_it_is(server):
    with spine(server, "mode: dryrun\n" + PLAIN.lstrip()) as over:
        ANSWERS["a"] = GO
        live = server.make()
        end = over.turn()
        assert (CALLS, server.get(), end.soon) == ([], live, False)


def test_a_lane_of_an_object_that_is_gone_is_broken_by_who_needs_it(server):
    with spine(server, LANE) as over:
        server.make("a")
        server.make("b")
        over.turn("a")
        server.client.delete(server.key("a"))
        over.turn("b")
        over.turn("b")
        assert CALLS[-1] == ("disrupt", "b")
        assert server.get("lane-quorum", LEASE)["spec"]["holderIdentity"].endswith("/b")


def test_what_became_of_a_step_is_known_to_the_conditions_of_the_same_pass(server):
    sent = "  - {type: Sent, unless: [{when: '${act.s.failed}', reason: NotSent}]}"
    text = PLAIN.replace("conditions:", f"conditions:\n{sent}")
    with spine(server, text) as over:
        ANSWERS.update({"a": GO, "change:x": Refused("no")})
        server.make()
        over.turn()
        (sent, *_) = server.get()["status"]["conditions"]
        assert (sent["type"], sent["status"], sent["reason"]) == ("Sent", "False", "NotSent")


LEFT_ALONE = """
mode:
  cases:
    - {when: "${self.metadata.labels.leave == 'alone'}", value: nothing}
  else: act
events:
  - {reason: LeftAlone, mode: nothing, when: "${self.metadata.labels.leave == 'alone'}", message: on purpose}
  - {reason: Looked, when: "${obs.a.text == 'good'}", message: "it is ${obs.a.text}"}
"""


def reasons(server):
    return {event[1] for event in server.events()}


def test_an_object_that_is_to_be_left_alone_is_not_even_looked_at(server):
    with spine(server, PLAIN + LEFT_ALONE) as over:
        made = server.make(labels={"leave": "alone"})
        ANSWERS["a"] = Refused("nobody may ask")
        end = over.turn()
        assert (end.result, end.delay_s, end.soon) == ("success", None, False)
        assert {item.reason for item in end.assessment.conditions} == {"NotObserved"}
        assert server.get() == made
        until("why is told", lambda: reasons(server) == {"LeftAlone"})
        server.client.patch(server.key(), {"metadata": {"labels": {"leave": None}}})
        ANSWERS["a"] = GOOD
        settled(over)
        until("what was seen is told", lambda: "Looked" in reasons(server))
