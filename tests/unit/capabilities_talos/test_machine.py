"""What is asked of one machine: its stage, its configuration, its kubeconfig."""

from __future__ import annotations

import gzip
import io
import tarfile
import time

import grpc
import pytest
import yaml
from talos_node import FOREIGN, address, refuse, reply, server_context

from engine import protocol
from engine.base.errors import Garbled, Missing, OutcomeUnknown, Refused, Unreachable
from engine.base.values import Opaque
from engine.capabilities import config_apply
from engine.capabilities.config_apply import CAPABILITY as APPLY
from engine.capabilities.config_diff import CAPABILITY as DIFF
from engine.capabilities.kubeconfig import CAPABILITY as KUBECONFIG
from engine.capabilities.kubeconfig import unpacked
from engine.capabilities.probe import CAPABILITY as PROBE

CONFIG = "version: v1alpha1\nmachine:\n  type: worker\n  install:\n    disk: /dev/sda\n"


def in_maintenance(network, number):
    node = network.node(number, server_context([address(number)], authority=FOREIGN, clients=None))
    disks = protocol.message_class("storage.DisksResponse")()
    node.handlers = {"Disks": lambda _request, _context: disks}
    return node


def test_a_configured_machine_tells_its_version(network, run):
    network.node(1)
    assert run(PROBE, endpoint=address(1)) == {"stage": "configured", "version": "v1.13.0"}


def test_a_machine_in_maintenance_is_asked_only_what_it_allows_there(network, run):
    node = in_maintenance(network, 1)
    assert run(PROBE, endpoint=address(1)) == {"stage": "maintenance", "version": None}
    assert dict(node.received) == {"Disks": 1}


def test_a_machine_of_another_cluster_has_no_stage(network, run):
    network.node(1, server_context([address(1)], authority=FOREIGN, clients=FOREIGN))
    with pytest.raises(Unreachable):
        run(PROBE, endpoint=address(1))


def test_a_machine_that_is_silent_has_no_stage(run):
    with pytest.raises(Unreachable) as caught:
        run(PROBE, endpoint=address(1))
    assert caught.value.code == "ConnectionRefused"


def test_a_machine_that_fails_has_no_stage(network, run):
    network.node(1).handlers["Version"] = refuse(grpc.StatusCode.INTERNAL, "panic")
    with pytest.raises(Exception, match="panic"):
        run(PROBE, endpoint=address(1))


def live(text):
    def get(request, _context):
        assert (request.namespace, request.type, request.id) == (
            "config",
            "MachineConfigs.config.talos.dev",
            "v1alpha1",
        )
        spec = protocol.message_class("resource.config.MachineConfigSpec")(yaml_marshalled=text.encode())
        answer = protocol.message_class("cosi.resource.GetResponse")()
        answer.resource.spec.proto_spec = spec.SerializeToString()
        return answer

    return get


def test_a_configuration_that_says_the_same_does_not_differ(network, run):
    network.node(1).handlers["Get"] = live(CONFIG)
    reordered = "# written by hand\nmachine: {install: {disk: /dev/sda}, type: worker}\nversion: v1alpha1\n"
    given = {"endpoint": address(1), "stage": "configured", "wanted": Opaque(reordered)}
    found = run(DIFF, **given)
    assert (found["differs"], found["paths"], found["changes"]) == (False, [], [])


def test_a_difference_is_named_by_its_path_and_told_without_secrets(network, run):
    network.node(1).handlers["Get"] = live(CONFIG)
    wanted = CONFIG.replace("/dev/sda", "/dev/sdb") + "  token: abcdef.0123456789abcdef\n"
    found = run(DIFF, endpoint=address(1), stage="configured", wanted=Opaque(wanted))
    assert found["differs"]
    assert found["paths"] == ["machine.install.disk", "machine.token"]
    assert found["changes"] == [
        "machine.install.disk: /dev/sda -> /dev/sdb",
        "machine.token: (absent) -> (not shown)",
    ]


def test_a_difference_is_another_one_when_either_side_is_another_one(network, run):
    node = network.node(1)

    def digest(runs, wants):
        node.handlers["Get"] = live(runs)
        return run(DIFF, endpoint=address(1), stage="configured", wanted=Opaque(wants))["digest"]

    other, third = (CONFIG.replace("/dev/sda", disk) for disk in ("/dev/sdb", "/dev/sdc"))
    assert digest(CONFIG, other) == digest(CONFIG, other)
    assert (
        len({digest(CONFIG, other), digest(other, CONFIG), digest(CONFIG, third), digest(third, other)}) == 4
    )


NO_DISK = "version: v1alpha1\nmachine:\n  type: worker\n  install:\n    image: x:v1.13.0\n"
WITH_IMAGE = CONFIG + "    image: x:v1.13.0\n"


def test_the_disk_that_a_machine_runs_from_is_no_difference_where_none_is_wanted(network, run):
    network.node(1).handlers["Get"] = live(WITH_IMAGE)
    found = run(DIFF, endpoint=address(1), stage="configured", wanted=Opaque(NO_DISK))
    assert (found["differs"], found["paths"]) == (False, [])
    network.node(2).handlers["Get"] = live(CONFIG)
    found = run(DIFF, endpoint=address(2), stage="configured", wanted=Opaque(NO_DISK))
    assert found["paths"] == ["machine.install.image"]


def test_a_machine_that_runs_is_sent_the_disk_that_it_runs_from(network, run):
    seen = []
    network.node(1).handlers |= {"Get": live(CONFIG), "ApplyConfiguration": applied(seen)}
    run(APPLY, endpoint=address(1), stage="configured", wanted=Opaque(NO_DISK))
    install = yaml.safe_load(seen[0].data)["machine"]["install"]
    assert (install["disk"], install["image"]) == ("/dev/sda", "x:v1.13.0")


def test_a_machine_in_maintenance_differs_without_being_asked(run):
    found = run(DIFF, endpoint=address(1), stage="maintenance", wanted=Opaque(CONFIG))
    assert (found["differs"], found["paths"]) == (True, ["(not configured)"])
    assert run.asked == []


def applied(seen):
    def apply(request, _context):
        seen.append(request)
        answer = reply("ApplyConfigurationResponse")
        answer.messages.add(mode=2, warnings=["mind this"], mode_details="No changes.")
        return answer

    return apply


def test_a_configuration_is_applied_with_its_mode_said(network, run):
    seen = []
    network.node(1).handlers["ApplyConfiguration"] = applied(seen)
    done = run(APPLY, endpoint=address(1), stage="configured", wanted=Opaque(CONFIG))
    assert done == {"mode": "NO_REBOOT", "warnings": ["mind this"], "told": "mind this"}
    assert (seen[0].data.decode(), seen[0].mode, seen[0].dry_run) == (CONFIG, 1, False)


def test_a_machine_in_maintenance_is_configured_without_a_client_certificate(network, run):
    seen = []
    in_maintenance(network, 1).handlers["ApplyConfiguration"] = applied(seen)
    run(APPLY, endpoint=address(1), stage="maintenance", wanted=Opaque(CONFIG))
    assert len(seen) == 1


def test_a_dry_run_asks_a_configured_machine_and_leaves_others_alone(network, run):
    seen = []
    network.node(1).handlers |= {"ApplyConfiguration": applied(seen), "Get": live(CONFIG)}
    done = run(APPLY, dry_run=True, endpoint=address(1), stage="configured", wanted=Opaque(CONFIG))
    run(APPLY, dry_run=True, endpoint=address(2), stage="maintenance", wanted=Opaque(CONFIG))
    assert [request.dry_run for request in seen] == [True]
    assert "No changes." in done["warnings"]


def test_what_a_machine_says_of_a_dry_run_is_told_without_secrets_and_what_stays(network, run):
    secret = CONFIG + "  token: abcdef.0123456789abcdef\n"

    def tell(_request, _context):
        answer = reply("ApplyConfigurationResponse")
        lines = [
            "Dry run summary:",
            "--- a",
            "+++ b",
            "@@ -1 +1 @@",
            " machine:",
            f"-{secret[-30:-1]}",
            "+  b: c",
        ]
        answer.messages.add(mode=1, mode_details="\n".join(lines))
        return answer

    network.node(1).handlers |= {"ApplyConfiguration": tell, "Get": live(secret)}
    done = run(APPLY, dry_run=True, endpoint=address(1), stage="configured", wanted=Opaque(CONFIG))
    (told,) = done["warnings"]
    assert told.startswith("Dry run summary:\n")
    assert told.endswith("\n+  b: c")
    assert "abcdef" not in told
    assert "machine:" not in told


def test_a_reply_to_apply_that_is_lost_leaves_the_outcome_open(network, run, monkeypatch):
    monkeypatch.setattr(config_apply, "_DEADLINE_S", 0.3)
    network.node(1).handlers["ApplyConfiguration"] = lambda _request, _context: time.sleep(0.6)
    with pytest.raises(OutcomeUnknown):
        run(APPLY, endpoint=address(1), stage="configured", wanted=Opaque(CONFIG))
    assert run.asked == ["ApplyConfiguration"]


def test_a_configuration_that_the_machine_refuses_is_refused(network, run):
    refusal = refuse(grpc.StatusCode.INVALID_ARGUMENT, "unknown keys found")
    network.node(1).handlers["ApplyConfiguration"] = refusal
    with pytest.raises(Refused, match="unknown keys"):
        run(APPLY, endpoint=address(1), stage="configured", wanted=Opaque(CONFIG))


def archive(name="kubeconfig", content=b"kind: Config\n"):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def test_the_kubeconfig_comes_from_the_first_node_that_gives_it(network, run):
    network.node(1).handlers["Kubeconfig"] = refuse(grpc.StatusCode.NOT_FOUND, "not yet")
    content = archive()
    halves = [protocol.message_class("common.Data")(bytes=part) for part in (content[:50], content[50:])]
    network.node(2).handlers["Kubeconfig"] = lambda _request, _context: iter(halves)
    found = run(KUBECONFIG, endpoints=[address(3), address(1), address(2)])
    assert found["text"].reveal() == "kind: Config\n"
    with pytest.raises(Missing):
        run(KUBECONFIG, endpoints=[address(3), address(1)])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        archive()[:40],
        archive("../../etc/passwd"),
        archive("secrets"),
        archive(content=b"x" * (2 << 20)),
        archive(content=b"\xff\xfe"),
        gzip.compress(b"\0" * (64 << 20)),
    ],
    ids=["empty", "noise", "torn", "outside", "other", "large", "binary", "bomb"],
)
def test_an_archive_that_is_no_kubeconfig_is_garbled(content):
    with pytest.raises(Garbled):
        unpacked(content, "node")


def test_a_machine_that_fell_back_to_maintenance_is_not_sent_what_a_configured_one_gets(network, run):
    in_maintenance(network, 1)
    with pytest.raises(Unreachable) as caught:
        run(APPLY, endpoint=address(1), stage="configured", wanted=Opaque(CONFIG))
    assert (caught.value.code, caught.value.sent) == ("CertificateUnknown", "no")
