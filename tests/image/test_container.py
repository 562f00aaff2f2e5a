"""The container as dist/install.yaml has it run: it serves, writes nowhere, takes mounted rules, and ends when asked."""

from __future__ import annotations

import re
import shutil
import signal
import time

import pytest
import yaml

from tests.conftest import ROOT
from tests.image.container import flags_of, started, until

pytestmark = [pytest.mark.slow, pytest.mark.image, pytest.mark.timeout(1200)]

OTHER = ["talosetcdbackup.yaml", "talosetcdbackupschedule.yaml"]


@pytest.fixture
def running(tool, image, pod, cluster):
    """Starts the pod's container, on the API; `running(flags=..., pod=...)`, and it is removed at the end."""

    def start(mounts=None, pod=pod):
        (container,) = pod["containers"]
        flags = [*flags_of(pod, mounts or {}), *cluster.flags]
        return started(tool, image, container["args"], flags, network=cluster.api)

    return start


@pytest.fixture(scope="module")
def ports(pod):
    return {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}


def probe(container, pod, ports, which):
    """Asks what the kubelet would ask."""
    asked = pod["containers"][0][which]["httpGet"]
    return container.ask(f"http://127.0.0.1:{ports[asked['port']]}{asked['path']}")


def ready(container, pod, ports):
    until("it is ready", lambda: probe(container, pod, ports, "readinessProbe")[0] == 200, container.log)


def metrics(container, ports, token):
    return container.ask(f"https://127.0.0.1:{ports['https']}/metrics", f"Authorization: Bearer {token}")


def with_rules(pod):
    """The pod as config/components/rules patches it."""
    patched = yaml.safe_load(yaml.safe_dump(pod))
    for patch in yaml.safe_load((ROOT / "config" / "components" / "rules" / "patch.yaml").read_text("utf-8")):
        assert patch["op"] == "add"
        place = patched
        for step in patch["path"].removeprefix("/spec/template/spec/").split("/")[:-1]:
            place = place[int(step) if step.isdigit() else step]
        place.append(patch["value"])
    return patched


def volume_of(folder, pod, texts):
    """The ConfigMap's volume as the kubelet lays it: real files in a dated folder, and links to it through `..data`."""
    (volume,) = (each["configMap"] for each in pod["volumes"] if each["name"] == "rules")
    dated = folder / "..2026_11_28_18_00_00.1234567890"
    for item in volume["items"]:
        if item["key"] in texts:
            place = dated / item["path"]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(texts[item["key"]], "utf-8")
    (folder / "..data").symlink_to(dated.name)
    for top in sorted({path.relative_to(dated).parts[0] for path in dated.rglob("*")}):
        (folder / top).symlink_to(f"..data/{top}")
    folder.chmod(0o755)
    return {"rules": folder}


def config_map():
    """Keys and texts as docs/deployment.md makes them of rules/."""
    rules = ROOT / "rules"
    names = [path.relative_to(rules).as_posix() for path in rules.rglob("*.yaml")]
    return {
        name.replace("/", "."): (rules / name).read_text("utf-8")
        for name in names
        if not name.startswith("tests/")
    }


def test_the_container_serves_probes_and_metrics_without_any_right(running, pod, ports, cluster):
    with running() as container:
        ready(container, pod, ports)
        assert probe(container, pod, ports, "livenessProbe") == (200, "ok")
        assert container.ask(f"https://127.0.0.1:{ports['https']}/metrics")[0] == 401
        status, text = metrics(container, ports, cluster.token)
        assert status == 200
        assert 'talos_operator_reconciliation_total{controller="taloscluster"' in text
        process = container.execute("cat", "/proc/1/status").stdout.splitlines()
        shown = dict(line.split(":\t", 1) for line in process if ":\t" in line)
        assert shown["Uid"].split() == ["65532"] * 4
        assert shown["Gid"].split() == ["65532"] * 4
        assert [int(shown[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")] == [0] * 4
        assert shown["NoNewPrivs"] == "1"
        assert shown["Seccomp"] == "2"
        mounts = [line.split() for line in container.execute("cat", "/proc/1/mountinfo").stdout.splitlines()]
        assert [line[5].split(",")[0] for line in mounts if line[4] == "/"] == ["ro"]


def test_the_container_ends_with_0_when_it_is_asked_to(running, pod, ports):
    with running() as container:
        ready(container, pod, ports)
        before = time.monotonic()
        container.tool("kill", "--signal=TERM", container.name)
        until("it ended", lambda: container.state["Status"] == "exited", container.log)
        assert container.state["ExitCode"] == 0
        assert time.monotonic() - before < pod["terminationGracePeriodSeconds"]


def test_a_container_that_is_ended_while_it_starts_ends_as_well(running, pod):
    def asks_for_the_signal():
        status = container.execute("cat", "/proc/1/status", code=None).stdout
        caught = re.search(r"^SigCgt:\s+(\w+)$", status, re.MULTILINE)
        return caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1

    with running() as container:
        until("it runs", asks_for_the_signal, container.log)
        container.tool("kill", "--signal=TERM", container.name)
        until("it ended", lambda: container.state["Status"] == "exited", container.log)


def test_nothing_is_written_but_to_tmp_even_where_it_could_be(running, tool, image, pod, ports, cluster):
    loose = yaml.safe_load(yaml.safe_dump(pod))
    loose["containers"][0]["securityContext"]["readOnlyRootFilesystem"] = False
    loose["securityContext"].update(runAsUser=0, runAsGroup=0)
    idle = ["--entrypoint=python", *flags_of(loose, {}), *cluster.flags]
    with started(tool, image, ["-c", "import time; time.sleep(600)"], idle) as container:
        before = tool("diff", container.name).stdout.splitlines()
    with running(pod=loose) as container:
        ready(container, pod, ports)
        after = tool("diff", container.name).stdout.splitlines()
    assert sorted(after) == sorted(before), (
        "the tool itself makes places to mount at, and files such as /etc/hosts"
    )


def test_rules_come_from_a_config_map_where_one_is_mounted(running, pod, ports, cluster, tmp_path):
    patched = with_rules(pod)
    texts = {key: text for key, text in config_map().items() if key not in OTHER}
    with running(volume_of(tmp_path, patched, texts), patched) as container:
        ready(container, pod, ports)
        _, text = metrics(container, ports, cluster.token)
    assert 'controller="talosmachine"' in text
    assert 'controller="talosetcdbackup"' not in text


def test_a_mistake_in_a_mounted_rule_ends_the_container_with_its_place(running, pod, tmp_path):
    patched = with_rules(pod)
    texts = config_map()
    texts["talosworker.yaml"] = texts["talosworker.yaml"].replace("kind: TalosWorker", "kind: TalosWarker")
    with running(volume_of(tmp_path, patched, texts), patched) as container:
        until("it ended", lambda: container.state["Status"] == "exited", container.log)
        told = container.log()
        code = container.state["ExitCode"]
    shutil.rmtree(tmp_path)
    assert code not in {0, None}
    assert "/etc/talos-operator/rules/talosworker.yaml:" in told
    assert "did you mean `TalosWorker`" in told
