"""Making a snapshot: as wide as references allow, each failure its own, nothing guessed."""

from __future__ import annotations

import asyncio
import base64
import threading

import pytest

from engine.base.errors import Refused, RemoteError, Unreachable
from engine.base.values import Opaque, Unknown
from tests.unit.spine.capabilities import ANSWERS, COMPUTED
from tests.unit.spine.server import spine
from tests.unit.spine.world import CONFIG_MAP, SECRET, rules_of


@pytest.fixture
def over(server):
    with spine(server) as made:
        yield made


def observe(over, text, **parts):
    """The observed reads of one pass, by name."""
    if over.server.get() is None:
        over.server.make(**parts)
    live = over.caught_up()
    (rule,) = rules_of(text).rules.values()
    return over.observer.observe(rule, over.server.key(), live, over.ports())


def states(sight):
    return {name: seen.status for name, seen in sight.snapshot.observed.items()}


def used(*names):
    """A condition that reads every observation, so that none is unused."""
    tests = " && ".join(f"obs.{name} != `null`" for name in names)
    return f'conditions:\n  - {{type: Used, is: "${{{tests}}}"}}\n'


CHAIN = """
observe:
  last: {call: test.read, with: {of: "${default(obs.middle.text, '')}"}}
  middle: {call: test.read, with: {of: "${default(obs.first.text, '')}"}}
  first: {call: test.read, with: {of: start}}
""" + used("last")


def test_a_read_waits_for_what_it_refers_to_whatever_the_order_in_the_file(over):
    ANSWERS.update({"start": {"text": "a"}, "a": {"text": "b"}, "b": {"text": "end"}})
    assert observe(over, CHAIN).snapshot.observed["last"].value == {"text": "end"}


def test_what_refers_to_a_failed_read_is_an_error_that_names_it(over):
    ANSWERS.update({"start": {"text": "a"}, "a": Unreachable("refused", sent="no", code="ConnectionRefused")})
    sight = observe(over, CHAIN)
    assert states(sight) == {"first": "value", "middle": "error", "last": "error"}
    assert sight.snapshot.observed["middle"].code == "ConnectionRefused"
    assert sight.snapshot.observed["last"].code == "DependencyUnknown"
    assert sight.snapshot.observed["last"].message == "obs.middle: refused"
    assert set(sight.failed) == {"middle", "last"}


def test_what_is_not_asked_is_skipped_and_so_is_what_asks_about_it(over):
    text = """
observe:
  a: {when: "${self.spec.size == `1`}", call: test.read, with: {of: a}}
  b: {when: "${obs.a.text == 'x'}", call: test.read, with: {of: b}}
""" + used("a", "b")
    sight = observe(over, text)
    assert states(sight) == {"a": "skipped", "b": "skipped"}
    assert sight.failed == ()


def test_reads_of_one_wave_are_asked_at_the_same_time(over):
    arrived, met = [], asyncio.Event()

    async def together():
        arrived.append(1)
        if len(arrived) == 3:
            met.set()
        await asyncio.wait_for(met.wait(), 5)
        return {"text": "met"}

    ANSWERS.update({"a": together, "b": together, "c": together})
    text = (
        "observe:\n"
        + "".join(f"  {n}: {{call: test.read, with: {{of: {n}}}}}\n" for n in "abc")
        + used(*"abc")
    )
    assert states(observe(over, text)) == {"a": "value", "b": "value", "c": "value"}


def test_what_needs_only_the_cache_is_asked_in_the_first_wave_whatever_the_order(over):
    arrived, met = [], asyncio.Event()

    async def together():
        arrived.append(1)
        if len(arrived) == 2:
            met.set()
        await asyncio.wait_for(met.wait(), 5)
        return {"text": "met"}

    ANSWERS.update({"w": together, "slow": together})
    text = """
observe:
  needs: {call: test.read, with: {of: "${obs.me.metadata.name}"}}
  slow: {call: test.read, with: {of: slow}}
  me: {kube: {get: Widget, name: w}}
""" + used("needs", "slow")
    text = text.replace("${obs.me.metadata.name}", "${default(obs.me.metadata.name, '')}")
    assert states(observe(over, text)) == {"me": "value", "needs": "value", "slow": "value"}


def test_a_read_that_never_answers_ends_with_its_deadline_and_spares_the_others(over):
    async def never():
        await asyncio.Event().wait()

    ANSWERS.update({"dead": never, "alive": {"text": "yes"}})
    text = """
observe:
  dead: {call: test.read, with: {of: dead}, deadline: 50ms}
  alive: {call: test.read, with: {of: alive}}
""" + used("dead", "alive")
    sight = observe(over, text)
    assert states(sight) == {"dead": "error", "alive": "value"}
    assert sight.snapshot.observed["dead"].code == "DeadlineExceeded"


@pytest.mark.parametrize("error", [KeyError("a secret"), ValueError("a secret"), RecursionError("a secret")])
@pytest.mark.parametrize("capability", ["test.read", "test.pure"])
def test_a_bug_behind_one_read_is_that_reads_failure_and_tells_no_more(over, error, capability):
    ANSWERS.update({"broken": error, "alive": {"text": "yes"}})
    text = f"""
observe:
  broken: {{call: {capability}, with: {{of: broken}}}}
  alive: {{call: test.read, with: {{of: alive}}}}
""" + used("broken", "alive")
    sight = observe(over, text)
    assert states(sight) == {"broken": "error", "alive": "value"}
    assert sight.snapshot.observed["broken"].code == "InternalError"
    assert "a secret" not in sight.snapshot.observed["broken"].message


def test_a_loop_that_does_not_answer_makes_reads_fail_not_the_pass(over):
    def run(work, *, timeout_s):
        work.close()
        raise RemoteError("not ended", code="DeadlineExceeded")

    over.observer._run = run
    text = "observe:\n  a: {call: test.read, with: {of: a}}\n" + used("a")
    assert states(observe(over, text)) == {"a": "error"}


def test_a_code_that_is_tolerated_is_an_absent_answer_and_every_other_an_error(over):
    text = "observe:\n  a: {call: test.read, with: {of: a}, tolerate: [NotThere]}\n" + used("a")
    ANSWERS["a"] = Refused("no", code="NotThere")
    sight = observe(over, text)
    assert states(sight) == {"a": "tolerated"}
    assert sight.names.scope.lookup("obs").lookup("a") is None
    ANSWERS["a"] = Refused("no", code="Other")
    sight = observe(over, text)
    assert isinstance(sight.names.scope.lookup("obs").lookup("a"), Unknown)


def test_pick_takes_a_part_of_the_answer_and_its_mistake_is_the_reads_failure(over):
    text = 'observe:\n  a: {call: test.any, with: {of: a}, pick: "${list[].name}"}\n' + used("a")
    ANSWERS["a"] = {"list": [{"name": "x"}, {"name": "y"}]}
    assert observe(over, text).snapshot.observed["a"].value == ["x", "y"]
    text = "observe:\n  a: {call: test.any, with: {of: a}, pick: \"${join(',', list)}\"}\n" + used("a")
    ANSWERS["a"] = {"list": 5}
    assert observe(over, text).snapshot.observed["a"].code == "ExpressionError"


EACH = """
observe:
  a:
    forEach: {in: "${self.spec.any.list}", as: m, key: "${m.name}"}
    call: test.read
    with: {of: "${m.ask}"}
    pick: ${text}
    tolerate: [NotThere]
""" + used("a")


def test_each_item_gets_an_entry_of_its_own(over):
    items = [{"name": n, "ask": n} for n in ("good", "bad", "absent")] + [{"name": "odd", "ask": None}]
    ANSWERS.update(
        {"good": {"text": "yes"}, "bad": Unreachable("refused"), "absent": Refused("no", code="NotThere")}
    )
    entries = observe(over, EACH, spec={"any": {"list": items}}).snapshot.observed["a"].value
    assert entries[0] == {"key": "good", "ok": True, "value": "yes", "error": None}
    assert entries[1] == {
        "key": "bad",
        "ok": False,
        "value": None,
        "error": {"code": "Unreachable", "message": "refused"},
    }
    assert entries[2] == {"key": "absent", "ok": False, "value": None, "error": None}
    assert (entries[3]["ok"], entries[3]["error"]["code"]) == (False, "InvalidInput")


def test_for_each_over_nothing_is_an_empty_list(over):
    assert observe(over, EACH, spec={"any": {"list": []}}).snapshot.observed["a"].value == []


def test_an_item_whose_key_is_no_text_fails_the_read(over):
    sight = observe(over, EACH, spec={"any": {"list": [{"ask": "x"}]}})
    assert states(sight) == {"a": "error"}


def test_a_null_input_is_refused_before_anybody_is_asked(over):
    text = 'observe:\n  a: {call: test.pure, with: {of: "${self.spec.any.x}"}}\n' + used("a")
    sight = observe(over, text, spec={"any": {}})
    assert sight.snapshot.observed["a"].code == "InvalidInput"
    assert COMPUTED == []


def test_an_absent_object_is_null_and_one_that_cannot_be_read_is_an_error(over):
    text = """
observe:
  none: {kube: {get: ConfigMap, name: none}}
  unnamed: {kube: {get: ConfigMap, name: "${self.spec.any.name}"}}
""" + used("none", "unnamed")
    sight = observe(over, text, spec={"any": {}})
    assert (states(sight), sight.snapshot.observed["none"].value) == (
        {"none": "value", "unnamed": "error"},
        None,
    )


def test_an_api_server_that_does_not_answer_a_first_look_makes_no_object_absent(over, monkeypatch):
    over.server.make()
    over.caught_up()

    def refused(key):
        raise Unreachable("refused", sent="no", code="ConnectionRefused")

    monkeypatch.setattr(over.server.client, "get", refused)
    live = over.cache.get(over.server.key())
    text = "observe:\n  s: {kube: {get: Secret, name: s}}\n" + used("s")
    (rule,) = rules_of(text).rules.values()
    sight = over.observer.observe(rule, over.server.key(), live, over.ports())
    assert (states(sight), sight.snapshot.observed["s"].code) == ({"s": "error"}, "ConnectionRefused")


def test_the_data_of_a_secret_is_decoded_and_cannot_be_printed(over):
    over.server.make("s", SECRET, stringData={"key": "canary"})
    text = "observe:\n  s: {kube: {get: Secret, name: s}}\n" + used("s")
    sight = observe(over, text)
    found = sight.snapshot.observed["s"].value["data"]["key"]
    assert found == Opaque("canary")
    assert base64.b64encode(b"canary").decode() not in repr(sight)
    assert "canary" not in repr(sight)


def test_a_pass_tells_every_object_and_list_that_it_looked_at(over):
    text = """
observe:
  c: {kube: {get: ConfigMap, name: c}}
  kids: {kube: {list: Widget, match: {spec.parent: w}}}
""" + used("c", "kids")
    over.server.make("kid", spec={"parent": "w"})
    over.server.make("stranger", spec={"parent": "x"})
    over.caught_up("stranger")
    sight = observe(over, text)
    assert [item["metadata"]["name"] for item in sight.snapshot.observed["kids"].value] == ["kid"]
    assert set(sight.objects) == {over.server.key("c", CONFIG_MAP)}
    assert {(item.kind.name, item.namespace) for item in sight.lists} == {("Widget", over.server.namespace)}


def test_the_reads_of_an_end_are_made_only_at_the_end(over):
    text = """
finalize:
  name: example.org/f
  skipWhen: ${obs.a.text == 'x'}
  observe: {a: {call: test.read, with: {of: a}}}
  steps: [{id: s, kube: {delete: ConfigMap, name: c}}]
"""
    ANSWERS["a"] = {"text": "y"}
    assert states(observe(over, text, finalizers=["example.org/f"])) == {}
    over.server.client.delete(over.server.key())
    assert states(observe(over, text)) == {"a": "value"}


def test_nothing_waits_for_an_answer_while_it_holds_the_lock_of_computing(over):
    held = []

    async def look():
        held.append(over.cpu.locked())
        return {"text": "x"}

    real = over.server.client.get

    def get(key):
        held.append(over.cpu.locked())
        return real(key)

    over.server.make()
    over.caught_up()
    over.server.client.get = get
    ANSWERS["a"] = look
    text = """
observe:
  a: {call: test.read, with: {of: a}}
  s: {kube: {get: Secret, name: s}}
  c: {kube: {get: ConfigMap, name: c}}
""" + used("a", "s", "c")
    try:
        (rule,) = rules_of(text).rules.values()
        live = over.cache.get(over.server.key())
        over.observer.observe(rule, over.server.key(), live, over.ports())
    finally:
        over.server.client.get = real
    assert held == [False, False, False]


def test_an_object_whose_node_is_dead_delays_no_other_object(over):
    gate = threading.Event()

    async def dead():
        await asyncio.to_thread(gate.wait, 5)
        raise Unreachable("silent")

    ANSWERS.update({"dead": dead, "alive": {"text": "yes"}})
    slow = "observe:\n  a: {call: test.read, with: {of: dead}}\n" + used("a")
    fast = "observe:\n  a: {call: test.read, with: {of: alive}}\n" + used("a")
    over.server.make()
    over.caught_up()
    other = threading.Thread(target=observe, args=(over, slow))
    other.start()
    try:
        assert states(observe(over, fast)) == {"a": "value"}
        assert other.is_alive()
    finally:
        gate.set()
        other.join(10)
