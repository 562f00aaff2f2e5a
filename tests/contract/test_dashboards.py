"""The dashboards are what their sources say, and keep the rules of Grafana's dashboard-linter.

The rules are those of the linter by name; what a file is let off stands in EXEMPT, with the reason.
"""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest

from engine.boards.generate import everything, shipped_rules
from engine.boards.known import known_series
from engine.boards.promql import NotPromql, read_query
from tests.contract.sources import ROOT

RULES = shipped_rules()
KNOWN = known_series(RULES)
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "grafana").rglob("*.json"))
PROMISED = {
    "grafana/controller-runtime-metrics.json",
    "grafana/controller-resources-metrics.json",
    "grafana/custom-metrics/custom-metrics-dashboard.json",
    "grafana/overview.json",
}
EXEMPT = {
    "talos_operator_resource_total": "a gauge whose documented name ends like a counter's",
}
FIXED_TIME = {"stat", "table"}
"""Panels of one moment, which say over which time they look; `$__rate_interval` depends on the width of a graph."""
SPANS = {"[5m]": "last five minutes", "[1h]": "last hour", "[1d]": "last day"}


@pytest.fixture(params=FILES)
def board(request):
    return json.loads((ROOT / request.param).read_text("utf-8"))


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board):
    return [(panel, target["expr"]) for panel in panels(board) for target in panel["targets"]]


def variables(board):
    return {each["name"]: each for each in board["templating"]["list"]}


def query(text):
    return read_query(text, lambda name: KNOWN[name].labels)


def test_every_promised_dashboard_is_there():
    assert set(FILES) == PROMISED


def test_dashboards_and_alerts_are_what_their_sources_say():
    made = everything(ROOT, RULES)
    assert set(made) >= PROMISED
    stale = [name for name, text in made.items() if (ROOT / name).read_text("utf-8") != text]
    assert stale == [], "run `make dashboards`"


def test_the_same_sources_give_the_same_bytes():
    assert everything(ROOT, shipped_rules()) == everything(ROOT, RULES)


def test_no_two_dashboards_share_an_address():
    uids = [json.loads((ROOT / name).read_text("utf-8"))["uid"] for name in FILES]
    assert len(set(uids)) == len(uids)
    assert all(re.fullmatch(r"[a-z0-9-]{1,40}", uid) for uid in uids)


def test_links_lead_to_dashboards_that_exist(board):
    uids = {json.loads((ROOT / name).read_text("utf-8"))["uid"] for name in FILES}
    text = json.dumps(board)
    assert set(re.findall(r'"/d/([a-z0-9-]+)', text)) <= uids
    assert [link["tags"] for link in board["links"]] == [board["tags"]]


def test_panels_have_ids_of_their_own_and_do_not_overlap(board):
    ids = [panel["id"] for panel in board["panels"]]
    assert sorted(set(ids)) == sorted(ids)
    for one, other in combinations([panel["gridPos"] for panel in board["panels"]], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
    assert all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in board["panels"]))


def test_a_file_is_of_the_current_schema_and_asks_for_the_data_source_when_it_is_imported(board):
    assert board["schemaVersion"] >= 41
    (given,) = board["__inputs"]
    assert (given["type"], given["pluginId"]) == ("datasource", "prometheus")
    assert variables(board)["datasource"]["current"]["value"] == f"${{{given['name']}}}"


# The rules of dashboard-linter, by their names.


def test_lint_template_datasource(board):
    found = variables(board)["datasource"]
    assert (found["type"], found["label"], found["query"]) == ("datasource", "Data Source", "prometheus")


@pytest.mark.parametrize("name", ["job", "instance"])
def test_lint_template_job_and_template_instance(board, name):
    found = variables(board)[name]
    assert (found["type"], found["label"]) == ("query", name.capitalize())
    assert (found["multi"], found["allValue"]) == (True, ".+")
    assert found["datasource"]["uid"] == "$datasource"


def test_lint_template_label_promql(board):
    for each in variables(board).values():
        if each["type"] == "query":
            inside = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"]["query"])
            assert inside is not None, each["query"]
            query(inside[1])


def test_lint_template_on_time_change_reload(board):
    assert {each["refresh"] for each in variables(board).values() if each["type"] == "query"} == {2}


def test_lint_panel_datasource(board):
    wrong = [panel["title"] for panel in panels(board) if panel["datasource"]["uid"] != "$datasource"]
    assert wrong == []
    inside = [target["datasource"]["uid"] for panel in panels(board) for target in panel["targets"]]
    assert set(inside) == {"$datasource"}


def test_lint_panel_title_description(board):
    assert [panel["id"] for panel in panels(board) if not panel["title"] or not panel["description"]] == []


def test_lint_panel_units(board):
    assert [panel["title"] for panel in panels(board) if not panel["fieldConfig"]["defaults"]["unit"]] == []


def test_lint_panel_no_targets(board):
    assert [panel["title"] for panel in panels(board) if not panel["targets"]] == []


def test_lint_target_promql(board):
    for panel, text in targets(board):
        try:
            query(text)
        except NotPromql as error:
            pytest.fail(f"{panel['title']}: {text}: {error}")


def test_lint_target_logql(board):
    """No query is for Loki: every data source is the Prometheus of `$datasource`."""
    assert {panel["datasource"]["type"] for panel in panels(board)} == {"prometheus"}


def test_lint_target_rate_interval(board):
    fixed = [
        (panel["title"], text)
        for panel, text in targets(board)
        if re.search(r"\[\d+[smhd](:|\])", text) and panel["type"] not in FIXED_TIME
    ]
    assert fixed == []
    silent = [
        panel["title"]
        for panel, text in targets(board)
        for span, words in SPANS.items()
        if span in text and words not in panel["description"]
    ]
    assert silent == []


@pytest.mark.parametrize("label", ["job", "instance"])
def test_lint_target_job_and_target_instance(board, label):
    wrong = [
        (panel["title"], selector.name)
        for panel, text in targets(board)
        for selector in query(text).selectors
        if selector.matchers.get(label) != f"${label}"
    ]
    assert wrong == []


def test_lint_target_counter_agg(board):
    wrong = [
        (panel["title"], selector.name)
        for panel, text in targets(board)
        for selector in query(text).selectors
        if selector.name.endswith("_total") and selector.name not in EXEMPT
        if selector.inside not in {"rate", "irate", "increase"}
    ]
    assert wrong == []


def test_lint_uneditable_dashboard(board):
    assert board["editable"] is False
