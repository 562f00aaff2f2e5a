"""docs/monitoring.md: Prometheus takes the configurations as they are shown, rule file included."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.contract.sources import ROOT
from tests.observability.programs import program

PAGE = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
BESIDE_MAKE_RUN, IN_A_CLUSTER = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def check_config(folder, text, *flags):
    (folder / "prometheus.yml").write_text(text, "utf-8")
    done = subprocess.run(
        [program("promtool"), "check", "config", *flags, "prometheus.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_config_for_a_trial_is_taken_with_its_alerts(tmp_path):
    shutil.copytree(ROOT / "alerting", tmp_path / "alerting")
    code, said = check_config(tmp_path, BESIDE_MAKE_RUN)
    assert code == 0, said
    assert re.search(r"SUCCESS: \d+ rules found", said)


def test_the_config_for_a_cluster_is_taken(tmp_path):
    discovery = "kubernetes_sd_configs: [{role: endpoints}]"
    assert discovery in IN_A_CLUSTER
    # Debian's Prometheus is built without the discovery of Kubernetes; the rest is read as it stands.
    text = IN_A_CLUSTER.replace(discovery, 'static_configs: [{targets: ["127.0.0.1:8443"]}]')
    code, said = check_config(tmp_path, text, "--syntax-only")
    assert code == 0, said


@pytest.mark.parametrize("text", [BESIDE_MAKE_RUN, IN_A_CLUSTER])
def test_a_config_that_is_broken_is_not_taken(tmp_path, text):
    assert check_config(tmp_path, text.replace("job_name", "jobname"), "--syntax-only")[0] != 0
