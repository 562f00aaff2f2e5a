"""The bring-up on a terminal and in a log."""

from __future__ import annotations

import io

from engine.cli.bringup import LiveTable, PlainLines, Row, progress


def test_a_log_tells_each_change_once():
    out = io.StringIO()
    lines = PlainLines(out)
    lines.update([Row("127.0.1.1", "install", "Installing", 1)])
    lines.update([Row("127.0.1.1", "install", "Installing", 2)])
    lines.update([Row("127.0.1.1", "", "Available", 0, ready=True)])
    lines.update([])
    assert out.getvalue().splitlines() == [
        "127.0.1.1: Installing (install)",
        "127.0.1.1: Available",
        "127.0.1.1: gone",
    ]


def test_what_is_no_terminal_gets_plain_lines():
    assert isinstance(progress(io.StringIO()), PlainLines)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    out = io.StringIO()
    out.isatty = lambda: True
    assert isinstance(progress(out), PlainLines)


def test_the_table_is_drawn_over_itself(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = io.StringIO()
    live = LiveTable(out)
    live.update([Row("127.0.1.1", "install", "Installing", 61), Row("127.0.1.2", "boot", "Booting", 3)])
    first = out.getvalue()
    live.update([Row("127.0.1.1", "install", "Installing", 62), Row("127.0.1.2", "boot", "Booting", 4)])
    assert "OBJECT" in first
    assert "127.0.1.1   Installing   61s   install" in first
    assert out.getvalue()[len(first) :].startswith("\r\x1b[3A\x1b[J")


def test_a_note_stands_above_the_table_and_is_not_drawn_over():
    out = io.StringIO()
    live = LiveTable(out)
    live.update([Row("a", "b", "c")])
    before = len(out.getvalue())
    live.note("kubeconfig is in d/kubeconfig")
    drawn = out.getvalue()[before:]
    assert drawn.startswith("\r\x1b[2A\x1b[Jkubeconfig is in d/kubeconfig\n")


def test_a_screen_that_is_too_small_shows_who_is_not_ready_and_counts_the_rest(monkeypatch):
    monkeypatch.setenv("LINES", "8")
    monkeypatch.setenv("COLUMNS", "60")
    out = io.StringIO()
    live = LiveTable(out)
    live.update([Row(f"m{i}", "", "Ready", ready=True) for i in range(20)] + [Row("late", "boot", "Booting")])
    assert "late" in out.getvalue()
    assert "and 17 more" in out.getvalue()
    assert len(out.getvalue().splitlines()) <= 8


def test_no_line_is_longer_than_the_screen(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("LINES", "20")
    out = io.StringIO()
    LiveTable(out).update([Row("127.0.1.1", "x" * 80, "y")])
    assert max(len(line) for line in out.getvalue().replace("\r\x1b[J", "").splitlines()) <= 30
