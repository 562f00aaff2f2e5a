"""Every manifest is one that a cluster takes: fields, types and choices, in the words of each version of Kubernetes.

The schemas of its own kinds are those that `kubernetes-validate` carries; its checker reads the same file once for each
object, so ours reads it once. The kinds of the Prometheus Operator are in monitoring-kinds.yaml.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import subprocess
from functools import lru_cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from referencing import Registry, Resource

from engine.base.yamltext import load_documents
from tests.conformance import kubectl
from tests.contract.podsecurity import breaches
from tests.contract.sources import ROOT

VERSIONS = ("1.31", "1.34", "1.37")
KUBECTL = kubectl.find()
INSTALL = load_documents((ROOT / "dist" / "install.yaml").read_text("utf-8"))
POD = next(item for item in INSTALL if item["kind"] == "Deployment")["spec"]["template"]["spec"]
MONITORING = {
    "ServiceMonitor": ROOT / "config" / "prometheus" / "monitor.yaml",
    "PrometheusRule": ROOT / "alerting" / "prometheusrule.yaml",
}


def schemas(version: str) -> Path:
    found = importlib.util.find_spec("kubernetes_validate")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "kubernetes-json-schema" / f"v{version}.0-local-strict"


@lru_cache
def registry(version: str) -> Registry:
    parts = json.loads((schemas(version) / "_definitions.json").read_text("utf-8"))
    return Registry().with_resource(
        "https://kubernetes.io/api/_definitions.json", Resource.from_contents(parts)
    )


def mistakes(document, version: str) -> list[str]:
    """`place: what is wrong` of one object, by the strict schema of its kind."""
    group, _, of_group = document["apiVersion"].rpartition("/")
    name = "-".join(part for part in (document["kind"].lower(), group.partition(".")[0], of_group) if part)
    schema = json.loads((schemas(version) / f"{name}.json").read_text("utf-8"))
    checker = jsonschema.Draft202012Validator(schema, registry=registry(version))
    return [f"{error.json_path}: {error.message}" for error in checker.iter_errors(document)]


def closed(schema):
    """Nothing but the fields that are named."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inside = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        inside.setdefault("additionalProperties", False)
    return inside


def rendered(folder: Path):
    done = subprocess.run(
        [KUBECTL, "kustomize", folder], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return load_documents(done.stdout)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_installed_is_valid_in_this_version_of_kubernetes(version):
    assert len(INSTALL) > 15
    found = {f"{item['kind']} {item['metadata']['name']}": mistakes(item, version) for item in INSTALL}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda deployment: deployment["spec"].update(replicas="2"), "$.spec.replicas"),
        (lambda deployment: deployment["spec"].update(replica=2), "$.spec"),
        (
            lambda deployment: deployment["spec"]["template"]["spec"]["containers"][0].update(command="run"),
            "$.spec.template.spec.containers[0].command",
        ),
    ],
)
def test_a_mistake_in_a_manifest_would_be_found(change, place):
    deployment = copy.deepcopy(next(item for item in INSTALL if item["kind"] == "Deployment"))
    change(deployment)
    (wrong,) = mistakes(deployment, VERSIONS[-1])
    assert wrong.startswith(f"{place}: ")


@pytest.mark.skipif(KUBECTL is None, reason="there is no kubectl")
def test_an_overlay_with_every_component_is_valid_and_admitted_too(tmp_path):
    import os

    components = sorted((ROOT / "config" / "components").iterdir())
    lines = {
        "resources": [os.path.relpath(ROOT / "config" / "default", tmp_path)],
        "components": [os.path.relpath(path, tmp_path) for path in components],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(lines), "utf-8")
    documents = rendered(tmp_path)
    assert [wrong for item in documents for wrong in mistakes(item, VERSIONS[-1])] == []
    (deployment,) = (item for item in documents if item["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert len(pod["volumes"]) == 1 + len(components)
    assert breaches(pod) == []


@pytest.mark.parametrize("kind", MONITORING)
def test_an_object_for_the_prometheus_operator_is_one_that_it_takes(kind):
    known = yaml.safe_load((ROOT / "tests" / "contract" / "monitoring-kinds.yaml").read_text("utf-8"))
    document = yaml.safe_load(MONITORING[kind].read_text("utf-8"))
    assert (document["apiVersion"], document["kind"]) == ("monitoring.coreos.com/v1", kind)
    assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
    jsonschema.validate(document["spec"], closed(known[kind]))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document["spec"], "endpoint": []}, closed(known[kind]))


def test_the_pod_is_admitted_under_the_restricted_profile():
    (namespace,) = (item for item in INSTALL if item["kind"] == "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert breaches(POD) == []


@pytest.mark.parametrize(
    "breach",
    [
        {"hostNetwork": True},
        {"hostPID": True},
        {"hostIPC": True},
        {"volumes": [{"name": "node", "hostPath": {"path": "/"}}]},
        {"securityContext": {"runAsNonRoot": True}},
        {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
        {"securityContext": {**POD["securityContext"], "runAsUser": 0}},
        {"securityContext": {**POD["securityContext"], "sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
        {"securityContext": {**POD["securityContext"], "seLinuxOptions": {"type": "spc_t"}}},
        {"initContainers": [{"name": "first"}]},
    ],
    ids=str,
)
def test_a_pod_that_breaks_the_profile_would_be_found(breach):
    assert breaches({**POD, **breach}) != []


@pytest.mark.parametrize(
    "breach",
    [
        {"privileged": True},
        {"allowPrivilegeEscalation": True},
        {"allowPrivilegeEscalation": None},
        {"capabilities": {}},
        {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
        {"runAsNonRoot": False},
        {"runAsUser": 0},
        {"seccompProfile": {"type": "Unconfined"}},
        {"procMount": "Unmasked"},
        {"appArmorProfile": {"type": "Unconfined"}},
    ],
    ids=str,
)
def test_a_container_that_breaks_the_profile_would_be_found(breach):
    (container,) = POD["containers"]
    broken = {**container, "securityContext": {**container["securityContext"], **breach}}
    assert breaches({**POD, "containers": [broken]}) != []


def test_a_port_of_the_node_and_a_probe_of_another_host_would_be_found():
    (container,) = POD["containers"]
    for breach in (
        {"ports": [{"containerPort": 8443, "hostPort": 8443}]},
        {"livenessProbe": {"httpGet": {"path": "/", "port": 80, "host": "10.0.0.1"}}},
    ):
        assert breaches({**POD, "containers": [{**container, **breach}]}) != []
