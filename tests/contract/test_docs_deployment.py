"""docs/deployment.md, followed word for word as far as a kubectl without a cluster goes."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml

from engine.base.yamltext import load_documents
from tests.conformance import kubectl
from tests.contract.sources import ROOT

TEXT = (ROOT / "docs" / "deployment.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(bash|yaml)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
KUBECTL = kubectl.find()
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl")


def block(kind, words):
    """The one block of a kind that has these words."""
    (found,) = (text for language, text in BLOCKS if language == kind and words in text)
    return found


def installed():
    documents = load_documents((ROOT / "dist" / "install.yaml").read_text("utf-8"))
    return {(item["kind"], item["metadata"]["name"]): item for item in documents}


@pytest.fixture
def overlay(tmp_path):
    """Renders a kustomization of the page, beside a checkout."""
    shutil.copytree(ROOT / "config", tmp_path / "talos-operator" / "config")

    def render(text):
        folder = tmp_path / "overlay"
        folder.mkdir()
        (folder / "kustomization.yaml").write_text(text, "utf-8")
        done = subprocess.run(
            [KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        (deployment,) = (item for item in load_documents(done.stdout) if item["kind"] == "Deployment")
        return deployment["spec"]["template"]["spec"]

    return render


def test_every_object_that_a_command_names_is_installed():
    there = installed()
    for kind, name in re.findall(
        r"\b(deployment|clusterrole)[ /](talos-operator-[\w-]+)", "\n".join(t for _, t in BLOCKS)
    ):
        full = {"deployment": "Deployment", "clusterrole": "ClusterRole"}[kind]
        assert (full, name) in there
    namespaces = {name for kind, name in there if kind == "Namespace"}
    assert set(re.findall(r"-n (\S+)", TEXT)) == namespaces


@needs_kubectl
def test_the_overlay_pins_the_image_and_mounts_the_certificate(overlay):
    pod = overlay(block("yaml", "# kustomization.yaml"))
    assert pod["containers"][0]["image"] == "registry.example.org/talos-operator:v1"
    assert "talos-operator-metrics-cert" in [
        volume.get("secret", {}).get("secretName") for volume in pod["volumes"]
    ]


@needs_kubectl
def test_a_file_of_ones_own_is_one_item_more(overlay):
    rules = "resources: [../talos-operator/config/default]\ncomponents: [../talos-operator/config/components/rules]\n"
    pod = overlay(rules + block("yaml", "patches:"))
    (volume,) = (each["configMap"] for each in pod["volumes"] if each["name"] == "rules")
    assert volume["items"][-1] == {"key": "nodeversion.yaml", "path": "nodeversion.yaml"}
    assert len(volume["items"]) > 20


@needs_kubectl
def test_the_config_map_of_the_page_has_every_file_under_the_key_that_is_mounted():
    script = block("bash", "create configmap").rstrip() + " --dry-run=client --output=yaml\n"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = yaml.safe_load(done.stdout)
    patches = yaml.safe_load((ROOT / "config" / "components" / "rules" / "patch.yaml").read_text("utf-8"))
    (volume,) = (each["value"]["configMap"] for each in patches if "configMap" in each["value"])
    assert made["metadata"]["name"] == volume["name"]
    assert made["data"] == {
        item["key"]: (ROOT / "rules" / item["path"]).read_text("utf-8") for item in volume["items"]
    }
    assert len(done.stdout) < 2**20, "a ConfigMap has a limit of 1 MiB"


def test_the_role_for_machine_refs_is_one_that_is_taken_in():
    role = yaml.safe_load(block("yaml", "baremetalhosts"))
    into = installed()["ClusterRole", "talos-operator-machine-refs-role"]
    (selector,) = into["aggregationRule"]["clusterRoleSelectors"]
    assert selector["matchLabels"].items() <= role["metadata"]["labels"].items()
    assert role["rules"][0]["verbs"] == ["get", "list", "watch"]


def test_the_role_of_ones_own_rules_takes_the_place_of_the_installed_one(command):
    done = command("rbac", "rules")
    assert done.returncode == 0, done.stderr
    assert "talos-operator rbac my-rules/ | kubectl apply -f -" in block("bash", "rbac my-rules/")
    role = yaml.safe_load(done.stdout)
    assert role["rules"] == installed()["ClusterRole", role["metadata"]["name"]]["rules"]


def test_prometheus_finds_its_token_and_its_authority_where_the_page_puts_them():
    script = block("bash", "SECRET")
    secret = yaml.safe_load(re.findall(r"^apiVersion.*?(?=^SECRET)", script, re.MULTILINE | re.DOTALL)[0])
    monitor = yaml.safe_load((ROOT / "config" / "prometheus" / "monitor.yaml").read_text("utf-8"))
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": secret["metadata"]["name"], "key": "token"}
    account = secret["metadata"]["annotations"]["kubernetes.io/service-account.name"]
    assert f"create serviceaccount {account}\n" in script
    assert f"--serviceaccount talos-operator-system:{account}\n" in script
    patches = yaml.safe_load(
        (ROOT / "config" / "components" / "metrics-cert" / "patch.yaml").read_text("utf-8")
    )
    (mounted,) = (each["value"]["secret"]["secretName"] for each in patches if "secret" in each["value"])
    assert endpoint["tlsConfig"]["ca"]["secret"]["name"] == mounted
