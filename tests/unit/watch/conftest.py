"""The scripted API server of tests/unit/kube, and an API that keeps things, for caches."""

from __future__ import annotations

import queue

import pytest

from engine.watch import Cache
from tests.unit.kube.conftest import THING, connect, listing, serve, thing, until

__all__ = ["connect", "serve", "until"]


class LittleApi:
    """Lists, gets and watches things; a test changes them and decides how watches end."""

    def __init__(self):
        self.things = {}
        self.version = 100
        self.watches = []
        self.before_get = lambda name: None

    def change(self, name, **more):
        kind = "MODIFIED" if name in self.things else "ADDED"
        self.version += 1
        self.things[name] = thing(name, str(self.version), **more)
        self.send(kind, self.things[name])

    def delete(self, name, *, tell=True):
        self.version += 1
        gone = self.things.pop(name)
        gone["metadata"]["resourceVersion"] = str(self.version)
        if tell:
            self.send("DELETED", gone)

    def send(self, kind, value):
        for watch in self.watches:
            watch.put((kind, value))

    def end_watches(self, how="end"):
        for watch in self.watches:
            watch.put((how, None))

    def __call__(self, asked, wire):
        if asked.is_watch:
            self._watch(asked, wire)
        elif asked.path.endswith("/things"):
            version = self.version
            wire.json(listing(list(self.things.values()), str(version)))
        else:
            name = asked.path.rsplit("/", 1)[-1]
            self.before_get(name)
            if name in self.things:
                wire.json(self.things[name])
            else:
                wire.refuse(404, "NotFound", "no")

    def _watch(self, asked, wire):
        events = queue.Queue()
        self.watches.append(events)
        wire.begin()
        while not wire.stopping.is_set():
            try:
                kind, value = events.get(timeout=0.05)
            except queue.Empty:
                continue
            if kind == "end":
                self.watches.remove(events)
                wire.end()
                return
            if kind == "reset":
                self.watches.remove(events)
                wire.reset()
            elif kind == "raw":
                wire.chunk(value)
            else:
                wire.event(kind, value)


@pytest.fixture
def api():
    return LittleApi()


@pytest.fixture
def cached(serve, connect, api):
    """Start a cache of things; gives the cache, the server and the changes it told of."""
    started = []

    def start(**more):
        server = serve(api)
        cache = Cache(connect(server), [THING], waits_s=(0.01, 0.05), **more)
        told = []
        cache.subscribe(lambda kind, old, new: told.append((old, new)))
        cache.start(5)
        started.append(cache)
        return cache, server, told

    yield start
    for cache in started:
        cache.stop()
