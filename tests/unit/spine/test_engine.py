"""The engine as a whole over the embedded API: who wakes whom, that it rests, and that it ends."""

from __future__ import annotations

import time

import pytest

from engine.base.errors import RemoteError
from engine.engine import Engine
from engine.measure import Meter
from engine.settings import Settings
from tests.unit.spine.server import until
from tests.unit.spine.world import CONFIG_MAP, WIDGET, rules_of, widget

RULE = """
on: {every: 10m}
observe:
  map: {kube: {get: ConfigMap, name: "${self.metadata.name}-given"}}
act:
  - when: ${obs.map != `null`}
    id: s
    kube: {apply: ConfigMap, name: "${self.metadata.name}-made", owner: controller, data: {a: "${default(obs.map.data.a, 'none')}"}}
conditions:
  - {type: Given, unless: [{when: "${obs.map == `null`}", reason: NotGiven}]}
"""


def engine_over(server, text=RULE):
    rules = rules_of(text)
    settings = Settings(metrics_bind_address=None, health_probe_bind_address=None, workers=2)
    return Engine(rules, server.client, settings, Meter(rules, 2))


@pytest.fixture
def engine(server):
    made = engine_over(server)
    made.start()
    server.requests.clear()
    yield made
    made.stop()


def is_ready(server, name="w"):
    conditions = (server.get(name) or {}).get("status", {}).get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def test_an_object_that_was_read_wakes_its_reader_and_one_that_is_owned_its_owner(server, engine):
    server.make()
    until("it is looked at", lambda: (server.get().get("status") or {}).get("conditions"))
    assert not is_ready(server)
    server.make("w-given", CONFIG_MAP, data={"a": "1"})
    until("its reader has woken", lambda: is_ready(server))
    until("it is made", lambda: server.get("w-made", CONFIG_MAP))
    server.client.delete(server.key("w-made", CONFIG_MAP))
    until("it is made again", lambda: server.get("w-made", CONFIG_MAP))


def quiet(server, engine):
    """Whether nobody works and nothing is due soon."""
    return not engine.queue.working() and not engine.queue.due() and not engine.queue._again


def test_an_engine_at_rest_asks_and_writes_nothing(server, engine):
    server.make()
    server.make("w-given", CONFIG_MAP, data={"a": "1"})
    until("it is ready", lambda: is_ready(server) and server.get("w-made", CONFIG_MAP))

    def rests():
        soonest = min(engine.queue._waiting().values(), default=0.0)
        return quiet(server, engine) and soonest > time.monotonic() + 60

    until("it rests", rests)
    server.requests.clear()
    engine.queue.add(server.key())
    until("it has looked once more", rests)
    assert [item.method for item in server.requests if item.method != "GET"] == []


RESTLESS = "${if(self.status.word == to_string(now), 'same', to_string(now))}"


def test_a_status_that_never_stays_does_not_run_as_fast_as_it_can(server):
    engine = engine_over(server, f'on: {{every: 10m}}\nstatus: {{word: "{RESTLESS}"}}\n')
    changes = []
    engine.cache.subscribe(lambda kind, old, new: changes.append(new["metadata"]["name"] if new else ""))
    engine.start()
    try:
        server.make("restless")
        until("it has changed a few times", lambda: changes.count("restless") >= 5)
        began, before = time.monotonic(), changes.count("restless")
        time.sleep(1.0)
        lasted = time.monotonic() - began
        assert changes.count("restless") - before <= 6 + lasted
    finally:
        engine.stop()


def test_a_status_that_its_rule_does_not_read_is_not_looked_at_again(server):
    engine = engine_over(server, 'on: {every: 10m}\nstatus: {word: "${to_string(now)}"}\n')
    engine.start()
    try:
        server.make()
        until("its first status is written", lambda: (server.get().get("status") or {}).get("word"))
        until("it rests", lambda: quiet(server, engine) and min(engine.queue._waiting().values()) > later(60))
    finally:
        engine.stop()


def later(seconds):
    return time.monotonic() + seconds


def test_a_change_of_others_wakes_a_costly_reader_after_a_rest_and_its_own_at_once(server, idle):
    reader = server.key("reader")
    idle.worker.patience.spent(reader, 0.04)
    idle._readers.note(reader, {server.key(): None}, set())
    old = widget(resourceVersion="1", namespace=server.namespace)
    new = widget(resourceVersion="2", namespace=server.namespace, spec={"size": 2})
    idle._changed(WIDGET, old, new)
    assert idle.queue.due() == [server.key()]
    assert 0.2 < idle.queue._waiting()[reader] - time.monotonic() <= 0.4


@pytest.fixture
def idle(server):
    """An engine that was built and not started."""
    made = engine_over(server)
    yield made
    made.stop()


def test_what_is_told_of_an_object_goes_before_those_that_are_merely_due(server, idle):
    """Whoever tells: the API server, a machine, or a job that has ended."""
    due = [server.key("due-a"), server.key("due-b")]
    told = [server.key(), server.key("machine"), server.key("job")]
    for key in due:
        idle.queue.add(key)
    time.sleep(0.001)
    idle._changed(WIDGET, None, widget(resourceVersion="1", namespace=server.namespace))
    idle._streams.ended(told[1], RemoteError("cut"))
    idle._jobs._wake(told[2])
    assert [idle.queue.get(0) for _ in range(4)] == [*told, due[0]]


def status_of(word, version, **metadata):
    return widget(resourceVersion=version, status={"word": word}, **metadata)


def test_the_echo_of_a_status_of_our_own_wakes_its_readers_but_not_the_object_itself(server, idle):
    key = server.key()
    old = status_of("a", "1", namespace=server.namespace)
    new = status_of("b", "2", namespace=server.namespace)
    idle._readers.note(server.key("reader"), {key: None}, set())
    idle._writes.note(key, old, new)
    idle._changed(WIDGET, old, new)
    assert idle.queue.due() == [server.key("reader")]


def test_a_status_that_somebody_else_wrote_wakes_the_object(server, idle):
    old = status_of("a", "1", namespace=server.namespace)
    idle._changed(WIDGET, old, status_of("b", "2", namespace=server.namespace))
    assert idle.queue.due() == [server.key()]


def test_a_spec_that_changes_while_the_object_is_worked_on_wakes_it_again(server, idle):
    idle.queue.add(server.key())
    assert idle.queue.get(0) == server.key()
    old = widget(resourceVersion="1", namespace=server.namespace)
    idle._changed(WIDGET, old, widget(resourceVersion="2", namespace=server.namespace, spec={"size": 2}))
    idle.queue.done(server.key())
    assert idle.queue.due() == [server.key()]


def test_every_thread_ends_with_the_engine(server):
    engine = engine_over(server)
    engine.start()
    threads = [*engine._threads, engine._talos._thread]
    engine.stop()
    assert not any(thread.is_alive() for thread in threads)


def test_an_engine_that_was_never_started_can_be_stopped(server):
    engine_over(server).stop()
