"""One line an event, fields by type, and nothing that could hold a secret."""

from __future__ import annotations

import io
import json
import logging
import re

import pytest

from engine.base.errors import Conflict
from engine.base.kinds import Key, Kind
from engine.base.log import configure
from engine.base.values import Opaque

KEY = Key(Kind("example.test", "v1", "Thing", "things"), "default", "a")
log = logging.getLogger("engine.part")


@pytest.fixture
def written():
    """Configure logging for the test; gives the function that reads the lines."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def start(form):
        stream = io.StringIO()
        configure(form, stream=stream)
        return lambda: stream.getvalue().splitlines()

    yield start
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("engine").setLevel(logging.NOTSET)


def test_text_lines_have_time_in_utc_level_part_and_message(written):
    lines = written("text")
    log.info("%s: took %.1f s", KEY, 1.25)
    assert len(lines()) == 1
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO part: Thing default/a: took 1\.2 s", lines()[0]
    )


def test_json_lines_carry_the_fields_of_keys_and_errors(written):
    lines = written("json")
    error = Conflict("someone was first", source="kubernetes", operation="PATCH things", sent="yes")
    log.warning("%s: %s", KEY, error)
    entry = json.loads(lines()[0])
    del entry["time"]
    assert entry == {
        "level": "warning",
        "logger": "engine.part",
        "message": "Thing default/a: PATCH things kubernetes: someone was first",
        "kind": "Thing",
        "namespace": "default",
        "name": "a",
        "code": "Conflict",
        "source": "kubernetes",
        "operation": "PATCH things",
        "sent": "yes",
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_and_whole_objects_never_get_into_a_line(written, form):
    lines = written(form)
    log.error("%s %s %s", Opaque("canary"), {"data": {"key": "canary"}}, ["canary"])
    log.error("%(a)s", {"a": {"key": "canary"}})
    assert "canary" not in "".join(lines())
    assert "<dict>" in lines()[0]


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_event_is_one_line_whatever_it_holds(written, form):
    lines = written(form)
    log.error("it\nfailed\r", exc_info=RuntimeError("first\nsecond"))
    assert len(lines()) == 1
    assert "RuntimeError: first" in lines()[0]


def test_libraries_speak_from_warnings_on_and_ours_from_info_on(written):
    lines = written("text")
    logging.getLogger("urllib3.connectionpool").info("chatter")
    logging.getLogger("urllib3.connectionpool").warning("pool %s", {"is": "full"})
    log.debug("detail")
    log.info("event")
    assert [line.split(" ", 2)[2] for line in lines()] == [
        "urllib3.connectionpool: pool {'is': 'full'}",
        "part: event",
    ]
