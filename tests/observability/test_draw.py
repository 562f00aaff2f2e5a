from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from tests.contract.sources import ROOT
from tests.observability.draw import Line, picture

BOARDS = [json.loads(path.read_text("utf-8")) for path in sorted((ROOT / "grafana").rglob("*.json"))]
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_a_picture_names_every_panel_and_says_where_there_is_no_data(board):
    first, *_ = (panel for panel in board["panels"] if panel["type"] != "row")
    lines = [Line("a & b", {"name": "x"}, [(0.0, 1.0), (5.0, 2.0), (10.0, 0.0)])]
    drawn = ET.fromstring(picture(board, {first["id"]: lines}, (0.0, 10.0)))
    texts = ["".join(node.itertext()) for node in drawn.iter() if node.tag.endswith("text")]
    assert {panel["title"] for panel in board["panels"]} <= set(texts)
    assert texts.count("no data") == len([p for p in board["panels"] if p["type"] != "row"]) - 1


def board_of(kind, unit="short"):
    shown = {"unit": unit, "mappings": [], "thresholds": {"steps": [{"color": "green", "value": None}]}}
    place = {"x": 0, "y": 0, "w": 4, "h": 8}
    panel = {"id": 1, "type": kind, "title": "Of all objects those that are not ready", "gridPos": place}
    return {"panels": [{**panel, "fieldConfig": {"defaults": shown}}]}


def texts_of(svg):
    return ["".join(node.itertext()) for node in ET.fromstring(svg).iter() if node.tag.endswith("text")]


def test_a_line_has_a_hole_where_there_was_no_value():
    line = Line("a", {}, [(0.0, 1.0), (1.0, 1.0), (5.0, 1.0), (6.0, 1.0)])
    drawn = ET.fromstring(picture(board_of("timeseries"), {1: [line]}, (0.0, 10.0)))
    (path,) = (node.get("d") for node in drawn.iter() if node.tag.endswith("path"))
    assert [letter for letter in path if letter.isalpha()] == ["M", "L", "M", "L"]


def test_a_title_ends_where_its_panel_does_and_a_legend_tells_how_many_lines_it_leaves_out():
    lines = [Line(f"operation-{number}", {}, [(0.0, number), (1.0, number)]) for number in range(9)]
    title, _, *legend = texts_of(picture(board_of("timeseries"), {1: lines}, (0.0, 1.0)))
    assert title.endswith("…")
    assert legend == ["operation-8", "+8"]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (0.02, "20.0 ms"), (90, "1.5 min"), (315576000, "10.0 years")]
)
def test_a_time_has_a_unit_that_a_person_can_read(seconds, shown):
    line = Line("a", {}, [(0.0, seconds)])
    assert shown in texts_of(picture(board_of("stat", "s"), {1: [line]}, (0.0, 1.0)))


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_no_picture_of_the_documentation_has_a_panel_without_data(path):
    text = path.read_text("utf-8")
    ET.fromstring(text)
    assert "no data" not in text
    assert "/tmp" not in text
