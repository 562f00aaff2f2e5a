from __future__ import annotations

import pytest

from engine.machineconfig.machinespec import install_image
from engine.machineconfig.render import Fault, Rendered, render, whole
from engine.machineconfig.secretsbundle import encode_pem, parse
from tests.unit.machineconfig.samples import BUNDLE, OTHER_BUNDLE, cluster, config_of, fault, rendered

CA = encode_pem(parse(BUNDLE).os.crt)


def taken(text: str) -> Rendered | Fault:
    """What becomes of a worker's configuration that the user wrote."""
    return whole(text, role="worker", bundle_text=BUNDLE)


def test_disk_wipe_and_image_reach_the_install_section():
    install = config_of(wipe=True, version="v1.12.4").main["machine"]["install"]
    assert install["disk"] == "/dev/sda"
    assert install["wipe"] is True
    assert install["image"] == "ghcr.io/siderolabs/installer:v1.12.4"


def test_a_disk_selector_of_a_patch_takes_the_place_of_a_disk_that_was_found():
    patch = {"machine": {"install": {"diskSelector": {"type": "nvme"}}}}
    found = config_of(disk="/dev/sda", configPatches=[patch]).plain()[0]["machine"]["install"]
    assert found["diskSelector"] == {"type": "nvme"}
    assert "disk" not in found
    assert found["image"] == "ghcr.io/siderolabs/installer:v1.13.9"
    named = config_of(installDisk="/dev/sdb", configPatches=[patch]).plain()[0]["machine"]["install"]
    assert named["disk"] == "/dev/sdb"


def test_the_disk_of_the_spec_wins_over_the_one_that_was_found():
    assert config_of(installDisk="/dev/vda").main["machine"]["install"]["disk"] == "/dev/vda"


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        ("", "ghcr.io/siderolabs/installer:v1.12.4"),
        ("reg:5000/installer", "reg:5000/installer:v1.12.4"),
        ("reg/installer:v1.11.0", "reg/installer:v1.11.0"),
        ("reg/installer:v1.11.0-alpha.1", "reg/installer:v1.11.0-alpha.1"),
        ("reg/installer:latest", "reg/installer:latest:v1.12.4"),
    ],
)
def test_an_image_gets_the_version_unless_it_ends_in_one(image: str, wanted: str):
    assert install_image(image, "v1.12.4") == wanted


def test_air_gap_turns_time_and_discovery_off():
    main = config_of(airGap=True).main
    assert main["machine"]["time"]["disabled"] is True
    assert main["cluster"]["discovery"]["enabled"] is False


def test_an_image_cache_brings_its_volume():
    config = config_of(imageCache=True)
    assert config.main["machine"]["features"]["imageCache"]["localEnabled"] is True
    volume = config.find("VolumeConfig", "IMAGECACHE")
    assert volume is not None
    assert volume.value["provisioning"]["diskSelector"]["match"] == "system_disk"


def test_user_patches_come_after_the_typed_fields_and_in_their_order():
    patches = [
        {"machine": {"install": {"disk": "/dev/sdb"}}, "cluster": {"clusterName": "first"}},
        {"cluster": {"clusterName": "second"}},
    ]
    main = config_of(configPatches=patches).main
    assert main["machine"]["install"]["disk"] == "/dev/sdb"
    assert main["cluster"]["clusterName"] == "second"


def test_additional_documents_come_last_and_in_their_order():
    documents = [
        {"apiVersion": "v1alpha1", "kind": "ResolverConfig", "nameservers": [{"address": "1.1.1.1"}]},
        {"apiVersion": "v1alpha1", "kind": "KernelModuleConfig", "name": "zfs"},
    ]
    config = config_of(additionalConfig=documents, version="v1.14.0")
    assert [document.kind for document in config.documents] == [
        "v1alpha1", "HostnameConfig", "ResolverConfig", "KernelModuleConfig",
    ]  # fmt: skip


def test_a_document_that_the_machine_is_too_old_for_is_a_fault():
    documents = [{"apiVersion": "v1alpha1", "kind": "KernelModuleConfig", "name": "zfs"}]
    assert fault(additionalConfig=documents).path == "KernelModuleConfig/zfs"


def test_registries_and_scheduling_are_taken_over():
    registries = {"mirrors": {"docker.io": {"endpoints": ["http://10.0.0.9:5000"]}}}
    main = config_of(registries=registries, allowSchedulingOnControlPlanes=True).main
    assert main["machine"]["registries"] == registries
    assert main["cluster"]["allowSchedulingOnControlPlanes"] is True


def test_pod_security_stays_on():
    (plugin,) = config_of().main["cluster"]["apiServer"]["admissionControl"]
    assert plugin["name"] == "PodSecurity"


def test_a_machine_kept_at_an_older_version_gets_no_document_that_it_cannot_read():
    assert len(config_of(version="v1.11.6").documents) == 1
    assert len(config_of(version="v1.13.9").documents) == 2
    assert config_of(version="v1.14.0").text() == config_of(version="").text().replace("v1.13.9", "v1.14.0")


def test_networks_domain_and_cni_of_the_cluster_are_rendered():
    result = render(
        role="worker",
        cluster_text=cluster(
            podCIDR=["10.1.0.0/16"], clusterDomain="k8s.local", cni={"name": "none", "urls": None}
        ),
        bundle_text=BUNDLE,
        machine={},
    )
    assert isinstance(result, Rendered)
    assert (
        "dnsDomain: k8s.local" in result.text
        and "- 10.1.0.0/16" in result.text
        and "name: none" in result.text
    )


def test_without_a_disk_a_base_is_rendered_that_names_neither_disk_nor_image():
    install = config_of(disk="").main["machine"]["install"]
    assert "disk" not in install and "image" not in install


def test_a_fault_names_the_patch_and_the_path():
    found = fault(
        configPatches=[{"machine": {"sysctls": {"a": "1"}}}, {"machine": {"install": {"dsk": "x"}}}]
    )
    assert (found.patch, found.path, found.reason) == (
        "configPatches[1]",
        "machine.install.dsk",
        "UnknownKey",
    )
    assert "'disk'" in found.message


def test_a_fault_names_the_additional_document():
    twice = [{"apiVersion": "v1alpha1", "kind": "HostnameConfig", "hostname": "a"}]
    assert (fault(additionalConfig=twice).patch, fault(additionalConfig=twice).reason) == (
        "additionalConfig[0]", "Duplicate",
    )  # fmt: skip


def test_a_deletion_that_finds_nothing_is_a_fault_of_its_patch():
    gone = {"cluster": {"apiServer": {"admissionControl": {"$patch": "delete"}}}}
    assert fault("worker", configPatches=[gone]).reason == "NotFound"


def test_what_talos_would_refuse_is_a_fault():
    found = fault("worker", configPatches=[{"cluster": {"etcd": {"subnet": "10.0.0.0/8"}}}])
    assert (found.reason, found.path) == ("Invalid", "cluster.etcd")


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"endpoint": "10.0.0.1"}, "endpoint"),
        ({"endpoint": None}, "endpoint"),
        ({"version": "latest"}, "version"),
        ({"version": "v1.7.0"}, "version"),
        ({"podCIDR": "10.0.0.0/8"}, "podCIDR"),
    ],
)
def test_a_wrong_cluster_is_a_fault_that_names_the_key(changed: dict[str, object], path: str):
    assert fault(cluster_text=cluster(**changed)).path == path


def test_faults_never_show_a_secret():
    broken = BUNDLE.replace("LS0tLS1CRUdJTiBFRDI1NTE5", "SECRETSECRETSECRETSECRET", 1)
    result = render(role="worker", cluster_text=cluster(), bundle_text=broken, machine={})
    assert isinstance(result, Fault)
    assert "SECRET" not in str(result)


def test_the_digest_changes_with_the_meaning_and_not_with_the_writing():
    text = f"machine: {{type: worker, ca: {{crt: {CA}}}}}\ncluster: {{clusterName: a}}\n"
    same = f"# a comment\ncluster:\n  clusterName: 'a'\nmachine:\n  type: worker\n  ca:\n    crt: {CA}\n"
    first, second, third = taken(text), taken(same), taken(text.replace("a}", "b}"))
    assert isinstance(first, Rendered) and isinstance(second, Rendered) and isinstance(third, Rendered)
    assert first.digest == second.digest != third.digest


def test_a_whole_configuration_is_taken_as_it_is_but_trimmed():
    text = f"\n\nmachine:   {{type: worker, token: abc, ca: {{crt: {CA}}}}}  # mine\ncluster: {{}}\n\n"
    result = taken(text)
    assert isinstance(result, Rendered)
    assert result.text == text.strip()
    assert "abc" not in result.redacted


def test_a_whole_configuration_newer_than_our_model_passes_and_is_redacted():
    result = taken(f"machine: {{type: worker, quantum: {{token: abc}}, ca: {{crt: {CA}}}}}\n")
    assert isinstance(result, Rendered)
    assert "abc" not in result.redacted and "quantum" in result.redacted


@pytest.mark.parametrize("text", ["", "{a: ", "just words", "- a\n- b\n"])
def test_a_whole_text_that_is_no_configuration_is_a_fault(text: str):
    assert isinstance(taken(text), Fault)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (f"machine: {{type: controlplane, ca: {{crt: {CA}}}}}\n", "machine.type"),
        (
            f"machine: {{type: worker, ca: {{crt: {encode_pem(parse(OTHER_BUNDLE).os.crt)}}}}}\n",
            "machine.ca.crt",
        ),
        ("machine: {type: worker}\n", "machine.ca.crt"),
    ],
)
def test_a_whole_configuration_of_another_role_or_cluster_is_a_fault(text: str, path: str):
    found = taken(text)
    assert isinstance(found, Fault)
    assert (found.reason, found.path) == ("LockedOut", path)


def test_no_secret_of_the_bundle_is_in_the_redacted_form():
    result = rendered()
    for line in BUNDLE.splitlines():
        key, _, value = line.strip().partition(": ")
        if key in ("secret", "bootstraptoken", "secretboxencryptionsecret", "token", "key"):
            assert value in result.text or key == "key"
            assert value not in result.redacted
    assert "PRIVATE" not in repr(result) and result.text not in repr(result)


def test_every_token_of_a_document_is_hidden():
    link = {
        "apiVersion": "v1alpha1",
        "kind": "SideroLinkConfig",
        "apiUrl": "https://a/?jointoken=abc",
        "uniqueToken": "def",
    }
    shown = rendered("worker", additionalConfig=[link]).redacted
    assert "abc" not in shown.split("SideroLinkConfig")[1]
    assert "uniqueToken: '******'" in shown
