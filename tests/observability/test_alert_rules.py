"""promtool's verdict on the alert rules: they load, each fires when it should, and no test is for nothing."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.contract.sources import ROOT
from tests.observability.programs import program

FOLDER = ROOT / "alerting"
TESTS = sorted((FOLDER / "tests").glob("*.test.yaml"))
RULES = "talos-operator.rules.yaml"
ALERTS = [
    rule["alert"]
    for group in yaml.safe_load((FOLDER / RULES).read_text("utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


def promtool(*arguments, folder=FOLDER):
    command = [program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_prometheus_takes_the_rules():
    assert promtool("check", "rules", RULES)[0] == 0


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_every_alert_fires_and_stays_silent_as_its_tests_say(path):
    code, said = promtool("test", "rules", path)
    assert code == 0, said


@pytest.mark.parametrize("name", ALERTS)
@pytest.mark.parametrize("broken", ["never", "always"])
def test_a_broken_alert_fails_its_tests(name, broken, tmp_path):
    cases = [case for path in TESTS for case in yaml.safe_load(path.read_text("utf-8"))["tests"]]
    about = [case for case in cases if name in str(case.get("promql_expr_test"))]
    tests = {"rule_files": [RULES], "evaluation_interval": "1m", "tests": about}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests), "utf-8")
    content = yaml.safe_load((FOLDER / RULES).read_text("utf-8"))
    (alert,) = (rule for group in content["groups"] for rule in group["rules"] if rule.get("alert") == name)
    alert["expr"] = "vector(0) > 1" if broken == "never" else f"vector(1) or ({alert['expr']})"
    (tmp_path / RULES).write_text(yaml.safe_dump(content), "utf-8")
    code, said = promtool("test", "rules", "tests.yaml", folder=tmp_path)
    assert code != 0
    assert name in said
