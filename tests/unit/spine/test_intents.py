"""Intents: written before sending, by one of two rivals, with the target of the first attempt."""

from __future__ import annotations

import pytest

from engine.act.once import Intents
from engine.base.errors import Conflict
from engine.base.intents import as_written, intent_from
from engine.base.model import Intent, PlannedStep
from engine.base.timestamps import rfc3339
from engine.freshness import OwnWrites
from tests.unit.spine.world import WIDGET

SENT_AT = 1_800_000_123.0


@pytest.fixture
def intents(server):
    return Intents(server.client, OwnWrites({WIDGET}), lambda: SENT_AT)


def step(attempt=0, target="first", key="boot"):
    return PlannedStep(
        id="s", phase="do", once=Intent(key=key, target=target, attempt=attempt, at=SENT_AT - 60, done=False)
    )


def written(server):
    return server.get().get("status", {}).get("intents")


def test_an_attempt_is_written_down_with_the_time_of_sending_not_that_of_the_pass(server, intents):
    seen = server.make()
    opened = intents.open(server.key(), step(), seen)
    assert written(server) == [
        {"key": "boot", "target": "first", "attempt": 1, "at": rfc3339(SENT_AT), "done": False}
    ]
    assert intent_from(written(server)[0]) == opened


def test_of_two_rivals_with_the_same_plan_one_writes_and_the_other_sends_nothing(server, intents):
    seen = server.make()
    intents.open(server.key(), step(), seen)
    with pytest.raises(Conflict) as caught:
        Intents(server.client, OwnWrites({WIDGET}), lambda: SENT_AT).open(
            server.key(), step(target="other"), seen
        )
    assert caught.value.sent == "no"
    assert [item["target"] for item in written(server)] == ["first"]


def test_of_two_rivals_that_look_at_the_same_moment_the_server_lets_one_through(server, intents):
    seen = server.make()
    rival = Intents(server.client, OwnWrites({WIDGET}), lambda: SENT_AT)
    client, looked = server.client, server.client.get

    def overtaken(key):
        client.get = looked
        found = looked(key)
        rival.open(server.key(), step(target="rival"), seen)
        return found

    client.get = overtaken
    try:
        with pytest.raises(Conflict):
            intents.open(server.key(), step(), seen)
    finally:
        client.get = looked
    assert [item["target"] for item in written(server)] == ["rival"]


def test_a_further_attempt_counts_up_and_keeps_the_other_intents(server, intents):
    other = as_written(Intent(key="other", target="x", attempt=3, at=SENT_AT, done=True))
    mine = as_written(Intent(key="boot", target="first", attempt=1, at=SENT_AT - 60))
    seen = server.make(status={"intents": [other, mine]})
    intents.open(server.key(), step(attempt=1), seen)
    assert [(item["key"], item["attempt"]) for item in written(server)] == [("other", 3), ("boot", 2)]


def test_an_attempt_planned_on_an_older_attempt_is_refused(server, intents):
    mine = as_written(Intent(key="boot", target="first", attempt=2, at=SENT_AT))
    seen = server.make(status={"intents": [mine]})
    for planned in (0, 1):
        with pytest.raises(Conflict):
            intents.open(server.key(), step(attempt=planned), seen)
    assert written(server) == [mine]


def test_an_attempt_on_an_intent_that_somebody_took_away_is_refused(server, intents):
    seen = server.make()
    with pytest.raises(Conflict):
        intents.open(server.key(), step(attempt=1), seen)
    assert written(server) is None


@pytest.mark.parametrize("change", ["spec", "deletion", "another object"])
def test_nothing_is_sent_for_an_object_that_changed_since_the_pass_began(server, intents, change):
    seen = server.make(finalizers=["example.org/f"])
    if change == "spec":
        server.client.patch(server.key(), {"spec": {"size": 2}})
    else:
        server.client.delete(server.key())
    if change == "another object":
        server.client.patch(server.key(), {"metadata": {"finalizers": []}})
        server.make()
    with pytest.raises(Conflict):
        intents.open(server.key(), step(), seen)
    assert written(server) is None


def test_a_changed_status_alone_does_not_hinder_it(server, intents):
    seen = server.make()
    server.client.patch_status(server.key(), {"status": {"word": "Fine"}})
    intents.open(server.key(), step(), seen)
    assert server.get()["status"]["word"] == "Fine"


def test_an_intent_is_closed_though_somebody_writes_the_status_meanwhile(server, intents):
    seen = server.make()
    opened = intents.open(server.key(), step(), seen)
    client, looked = server.client, server.client.get

    def overtaken(key):
        client.get = looked
        found = looked(key)
        client.patch_status(server.key(), {"status": {"word": "Fine"}})
        return found

    client.get = overtaken
    try:
        intents.close(server.key(), opened)
    finally:
        client.get = looked
    assert [(item["attempt"], item["done"]) for item in written(server)] == [(1, True)]
    assert server.get()["status"]["word"] == "Fine"
