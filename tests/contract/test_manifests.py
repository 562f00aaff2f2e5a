"""The manifests in config/ say what rules, schemas and program say, and fit together."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engine.base.yamltext import load_documents
from tests.conformance import kubectl
from tests.contract.sources import ROOT

sys.path.insert(0, str(ROOT / "config"))
import write_manifests  # the script lies beside what it writes

KUBECTL = kubectl.find()
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl")
MANAGER = "talos-operator-controller-manager"
NAMESPACE = "talos-operator-system"


def built(folder):
    """What kustomize makes of a folder, by kind and name."""
    done = subprocess.run(
        [KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return {(item["kind"], item["metadata"]["name"]): item for item in load_documents(done.stdout)}


@pytest.fixture(scope="module")
def whole():
    return built(ROOT / "config" / "default")


@pytest.mark.parametrize("name", sorted(write_manifests.generated()))
def test_generated_manifests_are_those_that_follow_from_rules_and_schemas(name):
    found = (ROOT / name).read_text("utf-8") if (ROOT / name).exists() else "nothing"
    assert found == write_manifests.generated()[name], "run `make manifests`"


@needs_kubectl
def test_the_one_file_for_all_is_what_kustomize_makes():
    written = load_documents((ROOT / "dist" / "install.yaml").read_text("utf-8"))
    wanted = load_documents(write_manifests.install(str(KUBECTL)))
    key = lambda item: (item["kind"], item["metadata"]["name"])  # noqa: E731
    assert sorted(written, key=key) == sorted(wanted, key=key), "run `make manifests`"


@needs_kubectl
def test_every_binding_binds_what_is_there(whole):
    for (kind, name), item in whole.items():
        if kind.endswith("Binding"):
            assert (item["roleRef"]["kind"], item["roleRef"]["name"]) in whole, name
            for subject in item["subjects"]:
                assert (subject["kind"], subject["name"]) in whole, name
                assert subject["namespace"] == NAMESPACE


@needs_kubectl
def test_the_pod_writes_to_memory_only_and_says_how_much_it_needs(whole):
    pod = whole["Deployment", MANAGER]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert {volume["name"]: volume["emptyDir"]["medium"] for volume in pod["volumes"]} == {"tmp": "Memory"}
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert set(container["resources"]["limits"]) == {"memory"}, "a limit of CPU would only slow it down"


@needs_kubectl
def test_service_monitor_and_policy_meet_the_ports_and_labels_of_the_pod(whole):
    pod = whole["Deployment", MANAGER]["spec"]["template"]
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    service = whole["Service", f"{MANAGER}-metrics-service"]
    assert ports[service["spec"]["ports"][0]["targetPort"]] == 8443
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    policy = whole["NetworkPolicy", "talos-operator-allow-metrics-traffic"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (monitor,) = built(ROOT / "config" / "prometheus").values()
    assert monitor["metadata"]["namespace"] == NAMESPACE
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] == service["spec"]["ports"][0]["name"]
    assert endpoint["tlsConfig"]["serverName"] == f"{service['metadata']['name']}.{NAMESPACE}.svc"


@needs_kubectl
def test_the_arguments_of_the_pod_are_understood_and_mean_its_ports(whole):
    from engine.cli.run import command, settings_from

    (container,) = whole["Deployment", MANAGER]["spec"]["template"]["spec"]["containers"]
    assert container["args"][0] == "run"
    with command.make_context("run", list(container["args"][1:])) as context:
        settings = settings_from(context.params)
        settings.check()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings.metrics_bind_address is not None and settings.health_probe_bind_address is not None
    assert settings.metrics_bind_address.port == ports["https"]
    assert settings.health_probe_bind_address.port == ports["probes"]
    assert settings.metrics_secure is True


@needs_kubectl
def test_probes_ask_for_what_is_served(whole):
    from engine.health import probe_handler
    from engine.listener import Request

    (container,) = whole["Deployment", MANAGER]["spec"]["template"]["spec"]["containers"]
    handle = probe_handler(health={}, ready={})
    asked = [container[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")]
    assert [each["port"] for each in asked] == ["probes", "probes"]
    for each in asked:
        assert handle(Request("GET", each["path"], {}, {})).status == 200


@needs_kubectl
def test_the_components_mount_rules_and_a_certificate_where_the_arguments_look_for_them(tmp_path):
    components = [ROOT / "config" / "components" / name for name in ("rules", "metrics-cert")]
    relative = [os.path.relpath(path, tmp_path) for path in components]  # kustomize takes no absolute ones
    base = os.path.relpath(ROOT / "config" / "default", tmp_path)
    text = f"resources: [{base}]\ncomponents: [{', '.join(relative)}]\n"
    (tmp_path / "kustomization.yaml").write_text(text)
    pod = built(tmp_path)["Deployment", MANAGER]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    asked = {argument.partition("=")[2] for argument in container["args"] if "=/etc/" in argument}
    assert asked == {"/etc/talos-operator/rules", "/etc/talos-operator/metrics-cert"}
    assert asked <= mounted


@needs_kubectl
def test_the_pod_stands_for_election_and_may_hold_the_lease_in_its_namespace(whole):
    (container,) = whole["Deployment", MANAGER]["spec"]["template"]["spec"]["containers"]
    assert "--leader-elect" in container["args"]
    binding = whole["RoleBinding", "talos-operator-leader-election-rolebinding"]
    role = whole["Role", binding["roleRef"]["name"]]
    assert {item["metadata"]["namespace"] for item in (binding, role)} == {NAMESPACE}
    leases = [rule["verbs"] for rule in role["rules"] if rule["resources"] == ["leases"]]
    assert leases == [["get", "create", "update"]]
