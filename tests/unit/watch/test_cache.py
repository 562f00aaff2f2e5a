"""The cache over a real client: nothing is lost, nothing that vanished stays, absence is never guessed."""

from __future__ import annotations

import threading
import time

import pytest

from engine.base.errors import RemoteError
from engine.base.kinds import Key, Kind
from engine.watch import Cache
from tests.unit.kube.conftest import THING, thing

KEY = Key(THING, "default", "a")


def names(cache):
    return [item["metadata"]["name"] for item in cache.list(THING)]


def test_it_lists_then_follows(cached, api, until):
    api.change("a", spec={"x": 1})
    cache, _, told = cached()
    assert cache.synced()
    assert cache.get(KEY)["spec"] == {"x": 1}
    until(lambda: api.watches)
    api.change("a", spec={"x": 2})
    until(lambda: cache.get(KEY)["spec"] == {"x": 2})
    api.change("b")
    api.delete("a")
    until(lambda: names(cache) == ["b"])
    until(lambda: len(told) == 4)
    assert told[-1][1] is None


def test_managed_fields_are_not_kept_and_equal_texts_are_shared(cached, api):
    api.things["a"] = thing("a", spec={"role": "role-" + "x"})
    api.things["a"]["metadata"]["managedFields"] = [{"manager": "x"}]
    api.things["b"] = thing("b", spec={"role": "role-" + "x"})
    cache, _, _ = cached()
    first, second = cache.list(THING)
    assert "managedFields" not in first["metadata"]
    assert first["spec"]["role"] is second["spec"]["role"]


def test_a_watch_that_ends_is_resumed_from_where_it_was_without_listing(cached, api, until):
    cache, server, _ = cached()
    until(lambda: api.watches)
    api.change("a")
    until(lambda: cache.get(KEY))
    api.end_watches()
    until(lambda: len([asked for asked in server.asked if asked.is_watch]) == 2)
    assert server.asked[-1].query["resourceVersion"] == "101"
    assert len([asked for asked in server.asked if not asked.is_watch]) == 1


def test_a_bookmark_moves_the_place_to_resume_from(cached, api, until):
    _, server, _ = cached()
    until(lambda: api.watches)
    api.send("BOOKMARK", {"metadata": {"resourceVersion": "777"}})
    api.end_watches()
    until(lambda: len([asked for asked in server.asked if asked.is_watch]) == 2)
    assert server.asked[-1].query["resourceVersion"] == "777"


def test_it_knows_when_the_server_last_told_something_be_it_a_bookmark(cached, api, until):
    before = time.time()
    cache, _, _ = cached()
    until(lambda: api.watches)

    def heard():
        ((kind, at),) = cache.heard()
        assert kind == THING
        return at

    assert heard() >= before
    for news in (
        lambda: api.send("BOOKMARK", {"metadata": {"resourceVersion": "777"}}),
        lambda: api.change("a"),
    ):
        until(lambda: time.time() > heard() + 0.01)
        last = heard()
        news()
        until(lambda last=last: heard() > last)


def test_a_server_that_refuses_everything_is_not_heard(serve, connect):
    cache = Cache(connect(serve(lambda asked, wire: wire.refuse(500, "InternalError", "no"))), [THING])
    with pytest.raises(RemoteError):
        cache.start(0.3)
    assert cache.heard() == []
    cache.stop()


@pytest.mark.parametrize("how", ["expired", "reset", "garbled"])
def test_after_any_bad_end_what_changed_meanwhile_is_found(cached, api, until, how):
    api.change("a")
    api.change("b")
    cache, _, told = cached()
    until(lambda: api.watches)
    if how == "expired":
        api.delete("a", tell=False)
        api.send("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
        until(lambda: names(cache) == ["b"])
        assert [(old["metadata"]["name"], new) for old, new in told if new is None] == [("a", None)]
        return
    if how == "reset":
        api.end_watches("reset")
    else:
        api.send("raw", b"{half\n")
    until(lambda: len(api.watches) == 1 or how == "garbled")
    until(lambda: (api.change("c"), names(cache) == ["a", "b", "c"])[1])


def test_listing_again_tells_only_what_changed(cached, api, until):
    api.change("a")
    api.change("b")
    cache, _, told = cached()
    until(lambda: api.watches)
    told.clear()
    api.things["b"] = thing("b", "150", spec={"new": True})
    api.version = 150
    api.send("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
    until(lambda: (cache.get(Key(THING, "default", "b")) or {}).get("spec"))
    assert [new["metadata"]["name"] for _, new in told] == ["b"]


def test_a_server_that_always_says_too_old_is_not_asked_without_pause(serve, connect, until):
    def script(asked, wire):
        if asked.is_watch:
            wire.refuse(410, "Expired", "too old")
        else:
            wire.json({"metadata": {"resourceVersion": "1"}, "items": []})

    server = serve(script)
    cache = Cache(connect(server), [THING], waits_s=(5.0, 5.0))
    cache.start(5)
    until(lambda: len(server.asked) >= 2)
    assert not threading.Event().wait(0.2)
    assert len(server.asked) <= 4
    cache.stop()


def test_a_server_that_ends_watches_at_once_is_not_asked_without_pause(serve, connect, until):
    def script(asked, wire):
        if asked.is_watch:
            wire.begin()
            wire.end()
        else:
            wire.json({"metadata": {"resourceVersion": "1"}, "items": []})

    server = serve(script)
    cache = Cache(connect(server), [THING], waits_s=(5.0, 5.0))
    cache.start(5)
    until(lambda: len(server.asked) >= 2)
    assert not threading.Event().wait(0.2)
    assert len(server.asked) <= 3
    cache.stop()


def test_the_wait_that_a_busy_server_asks_for_is_kept(serve, connect, until):
    def script(asked, wire):
        wire.refuse(429, "TooManyRequests", "later", retryAfterSeconds=60)

    server = serve(script)
    cache = Cache(connect(server), [THING], waits_s=(0.001, 0.001))
    with pytest.raises(RemoteError, match="later"):
        cache.start(0.3)
    assert len(server.asked) == 1
    assert cache.readiness() == "not listed yet: things"
    cache.stop()


def test_a_subscriber_that_fails_stops_neither_the_others_nor_the_watch(cached, api, until, caplog):
    cache, _, told = cached()

    def broken(kind, old, new):
        raise RuntimeError("bug")

    cache._changed.insert(0, broken)
    until(lambda: api.watches)
    api.change("a")
    api.change("b")
    until(lambda: len(told) == 2)
    assert cache.liveness() is None


def test_an_object_that_cannot_be_taken_in_does_not_end_the_watch(cached, api, until, caplog):
    cache, _, _ = cached()
    until(lambda: api.watches)
    api.send("ADDED", {"metadata": {"resourceVersion": "1"}})
    api.things["a"] = thing("a", "101")
    until(lambda: names(cache) == ["a"])
    assert cache.liveness() is None


def test_stopping_ends_silent_watches_soon(cached, api, until):
    cache, _, _ = cached()
    until(lambda: api.watches)
    cache.stop()
    assert cache.liveness() == "the watch of things has ended"


# Kinds that are kept on demand.

OWNER = Kind("example.test", "v1", "Owner", "owners")


def owned(name, version="1"):
    item = thing(name, version)
    item["metadata"]["ownerReferences"] = [
        {"apiVersion": "example.test/v2", "kind": "Owner", "name": "o", "uid": "u"}
    ]
    return item


def test_of_a_kind_on_demand_only_what_is_wanted_or_owned_is_kept(cached, api, until):
    api.things |= {"a": thing("a"), "b": thing("b"), "c": owned("c")}
    cache, server, told = cached(on_demand=[THING], owners=[OWNER])
    assert names(cache) == ["c"]
    assert cache.get(KEY)["metadata"]["name"] == "a"
    assert names(cache) == ["a", "c"]
    until(lambda: api.watches)
    api.change("b")
    api.change("a", spec={"x": 2})
    until(lambda: cache.get(KEY).get("spec") == {"x": 2})
    assert names(cache) == ["a", "c"]
    assert "b" not in [new["metadata"]["name"] for _, new in told if new]
    assert len([asked for asked in server.asked if asked.path.endswith("/a")]) == 1


def test_an_object_that_is_absent_at_the_first_look_appears_later(cached, api, until):
    cache, _, told = cached(on_demand=[THING])
    assert cache.get(KEY) is None
    until(lambda: api.watches)
    api.change("a")
    until(lambda: cache.get(KEY))
    assert len(told) == 1


def test_a_first_look_that_fails_is_an_error_and_never_absence(cached, api):
    cache, server, _ = cached(on_demand=[THING])
    answer = server.script
    server.script = lambda asked, wire: wire.refuse(503, "ServiceUnavailable", "not now")
    for _ in range(2):
        with pytest.raises(RemoteError, match="not now"):
            cache.get(KEY)
    server.script = answer
    api.change("a")
    assert cache.get(KEY)


def test_who_looks_while_another_ones_first_look_is_under_way_waits_for_it(cached, api, until):
    api.things["a"] = thing("a")
    asked, release = threading.Event(), threading.Event()

    def before_get(name):
        asked.set()
        release.wait(5)

    api.before_get = before_get
    cache, _, _ = cached(on_demand=[THING])
    found = []
    threads = [threading.Thread(target=lambda: found.append(cache.get(KEY))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert asked.wait(5)
    assert found == []
    release.set()
    for thread in threads:
        thread.join(5)
    assert [item["metadata"]["name"] for item in found] == ["a"] * 3


def test_a_first_look_does_not_bring_back_what_was_deleted_during_it(cached, api, until):
    api.things["a"] = thing("a", "100")
    cache, server, _ = cached(on_demand=[THING])
    until(lambda: api.watches)
    store = cache._stores[THING]

    def script(asked, wire):
        api.delete("a")
        until(lambda: store._asked.get(("default", "a")))
        wire.json(thing("a", "100"))

    server.script = script
    assert cache.get(KEY) is None


def test_a_late_word_of_a_former_life_does_not_hide_what_a_first_look_found(cached, api, until):
    cache, server, _ = cached(on_demand=[THING])
    until(lambda: api.watches)
    store = cache._stores[THING]

    def script(asked, wire):
        api.send("DELETED", thing("a", "90"))
        until(lambda: store._asked.get(("default", "a")))
        wire.json(thing("a", "110"))

    server.script = script
    assert cache.get(KEY)["metadata"]["resourceVersion"] == "110"


def test_what_vanished_while_a_list_began_again_does_not_stay(serve, connect):
    def script(asked, wire):
        if asked.is_watch:
            wire.wait()
        elif asked.query.get("continue"):
            wire.refuse(410, "Expired", "too old")
        elif len(server.asked) == 1:
            wire.json({"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [thing("a", "1")]})
        else:
            wire.json({"metadata": {"resourceVersion": "9"}, "items": [thing("b", "8")]})

    server = serve(script)
    cache = Cache(connect(server), [THING])
    cache.start(5)
    assert names(cache) == ["b"]
    cache.stop()


def test_a_server_restored_from_a_backup_is_believed(cached, api, until):
    api.change("a")
    api.change("b")
    cache, _, _ = cached()
    until(lambda: api.watches)
    api.version = 50
    api.things = {"b": thing("b", "40", spec={"from": "backup"})}
    api.send("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
    until(lambda: names(cache) == ["b"])
    assert cache.list(THING)[0]["spec"] == {"from": "backup"}
