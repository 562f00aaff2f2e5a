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


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_no_picture_of_the_documentation_has_a_panel_without_data(path):
    text = path.read_text("utf-8")
    ET.fromstring(text)
    assert "no data" not in text
    assert "/tmp" not in text
