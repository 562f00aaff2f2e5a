"""What the probes answer."""

from __future__ import annotations

from engine.health import probe_handler
from engine.listener import Request


def probe(path, query=None, *, synced=None):
    def broken():
        raise RuntimeError("bug")

    handler = probe_handler(
        health={"watches": lambda: None},
        ready={"cache": lambda: synced, "broken": broken if synced else lambda: None},
    )
    answer = handler(Request("GET", path, query or {}))
    return answer.status, answer.body.decode()


def test_all_well_is_ok():
    assert probe("/healthz") == (200, "ok")
    assert probe("/readyz") == (200, "ok")


def test_verbose_lists_every_check():
    assert probe("/healthz", {"verbose": [""]}) == (200, "[+]ping ok\n[+]watches ok\nhealthz check passed\n")


def test_a_failed_check_says_what_is_wrong_and_fails_the_probe():
    status, body = probe("/readyz", synced="TalosThing is not listed yet")
    assert status == 500
    assert "[-]cache failed: TalosThing is not listed yet\n" in body
    assert "[+]ping ok\n" in body
    assert body.endswith("readyz check failed\n")


def test_a_check_that_breaks_counts_as_failed_and_tells_nothing_more():
    body = probe("/readyz", synced="x")[1]
    assert "[-]broken failed: the check itself failed; see the log\n" in body


def test_a_check_can_be_asked_by_itself_or_left_out():
    assert probe("/readyz/ping", synced="x") == (200, "ok")
    assert probe("/readyz/cache", synced="x")[0] == 500
    assert probe("/readyz", {"exclude": ["cache", "broken"]}, synced="x") == (200, "ok")
    assert probe("/readyz/none")[0] == 404
    assert probe("/metrics")[0] == 404


def test_a_note_is_told_and_nothing_fails_by_it():
    trouble = "machine.yaml:3:1: no such field"
    handler = probe_handler(
        health={}, ready={"cache": lambda: None}, notes={"rules": lambda: trouble, "b": lambda: None}
    )

    def asked(path, **query):
        answer = handler(Request("GET", path, query))
        return answer.status, answer.body.decode()

    assert asked("/readyz") == (200, "ok")
    status, body = asked("/readyz", verbose=[""])
    assert status == 200
    assert f"[!]rules: {trouble}\n[+]b ok\n" in body
    assert asked("/readyz/rules") == (200, trouble)
    assert asked("/readyz/b") == (200, "ok")
    assert asked("/healthz/rules")[0] == 404
