"""`machineconfig`: the operator's own rendering, patching and judging, for people with files."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import pty
import stat
import subprocess
import sys

import pytest

from engine.capabilities.config_render import render_config
from engine.machineconfig.certificates import Pair, make_authority
from engine.machineconfig.secretsbundle import parse
from tests.unit.machineconfig.golden import SHIPPED
from tests.unit.machineconfig.samples import BUNDLE, NOW, OTHER_BUNDLE, cluster, config_of, rendered

CASE = SHIPPED / "config" / "combo-c-113"
WISHES = """\
contract: v1.13
clusterName: demo
endpoint: https://10.5.0.2:6443
kubernetesVersion: 1.36.3
options: {installDisk: /dev/sda}
"""


@pytest.fixture
def secrets(tmp_path):
    path = tmp_path / "secrets.yaml"
    path.write_text(BUNDLE)
    return path


@pytest.fixture
def wishes(tmp_path):
    path = tmp_path / "cluster.yaml"
    path.write_text(WISHES)
    return path


@pytest.fixture
def worker(tmp_path):
    path = tmp_path / "worker.yaml"
    path.write_text(rendered("worker").text)
    return path


def test_a_golden_case_is_rendered_as_talos_renders_it(command):
    for role in ("controlplane", "worker"):
        shown = command(
            "machineconfig", "render", "--secrets", CASE / "secrets.yaml", "--input", CASE / "input.yaml",
            "--role", role,
        )  # fmt: skip
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout == (CASE / f"expected-{role}.yaml").read_text()


def test_an_object_with_its_secret_is_rendered_as_the_operator_renders_it(command, tmp_path):
    spec = {
        "installDisk": "/dev/sda",
        "airGap": True,
        "configPatches": [{"machine": {"sysctls": {"a": "1"}}}],
    }
    wanted = render_config(
        {
            "role": "worker",
            "cluster": cluster(),
            "secrets": BUNDLE,
            "machine": spec,
            "version": "v1.12.4",
            "installed": True,
        },
        0.0,
    )
    kept = {"secretBundle": BUNDLE, "bundleConfig": cluster()}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in kept.items()}
    secret, machine = tmp_path / "state.json", tmp_path / "machine.json"
    secret.write_text(json.dumps({"kind": "Secret", "apiVersion": "v1", "data": data}))
    machine.write_text(json.dumps({"kind": "Any", "spec": {"machineSpec": spec, "version": "v1.12.4"}}))
    shown = command("machineconfig", "render", "--secrets", secret, "--input", machine, "--role", "worker")
    assert shown.stdout == wanted["text"].reveal(), shown.stderr


def test_a_talosconfig_is_rendered_for_the_endpoints_that_are_asked_for(command, secrets, wishes):
    wishes.write_text(WISHES.replace("{installDisk", "{endpoints: [10.5.0.2], installDisk"))
    shown = command(
        "machineconfig", "render", "--secrets", secrets, "--input", wishes, "--role", "talosconfig"
    )
    assert shown.stdout.startswith("context: demo\n")
    assert "- 10.5.0.2\n" in shown.stdout


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        (WISHES.replace("installDisk", "instalDisk"), "unknown option; did you mean", "options.instalDisk"),
        (WISHES.replace("v1.13", "v1.7"), "Talos before 1.8 is not supported", "contract"),
        (WISHES.replace("v1.13", "latest"), "not a Talos version", "contract"),
        (WISHES.replace("/dev/sda", "[a]"), "a text is needed", "options.installDisk"),
        (WISHES.replace("clusterName: demo", "clusterName:"), "required", "clusterName"),
        (WISHES + "patches: {all: [none.yaml]}\n", "no such file", "none.yaml"),
        (WISHES + "machine: {installDsk: /dev/sda}\n", "unknown key; did you mean", "machine.installDsk"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_with_their_place(command, secrets, wishes, text, what, where):
    wishes.write_text(text)
    shown = command("machineconfig", "render", "--secrets", secrets, "--input", wishes, "--role", "worker")
    assert shown.returncode == 1
    first, second = shown.stderr.splitlines()[:2]
    assert first.startswith(f"error: {what}")
    assert second.strip().endswith(where)
    assert shown.stdout == ""


def test_a_patch_that_cannot_be_applied_is_named(command, secrets, wishes):
    (wishes.parent / "bad.yaml").write_text("machine: {ntwork: {}}\n")
    wishes.write_text(WISHES + "patches: {worker: [bad.yaml]}\n")
    given = ("machineconfig", "render", "--secrets", secrets, "--input", wishes)
    assert command(*given, "--role", "controlplane").returncode == 0
    shown = command(*given, "--role", "worker")
    assert shown.returncode == 1
    assert f"{wishes}: bad.yaml: machine.ntwork" in shown.stderr


def test_what_a_machine_would_refuse_is_rendered_with_a_warning(command, secrets, wishes):
    wishes.write_text(WISHES.replace("{inst", "{extraKernelArgs: [a=b], inst"))
    shown = command("machineconfig", "render", "--secrets", secrets, "--input", wishes, "--role", "worker")
    assert shown.returncode == 0
    assert shown.stderr.startswith("warning: extra kernel arguments have no effect")


def test_keys_go_into_files_that_only_their_owner_may_read(command, secrets, wishes, tmp_path):
    path = tmp_path / "out.yaml"
    path.write_text("")
    path.chmod(0o644)
    shown = command(
        "machineconfig", "render", "--secrets", secrets, "--input", wishes, "--role", "worker", "-o", path
    )
    assert shown.stdout == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("version: v1alpha1\n")


def _on_a_terminal(*arguments: str) -> str:
    ours, theirs = pty.openpty()
    run = subprocess.Popen([sys.executable, "-m", "engine", *arguments], stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 65536):
            text += chunk
    except OSError:  # the other side has closed it
        pass
    run.wait(timeout=30)
    os.close(ours)
    return text.decode()


def test_keys_are_shown_on_a_terminal_only_when_asked_for(secrets, wishes):
    given = ("machineconfig", "render", "--secrets", str(secrets), "--input", str(wishes), "--role", "worker")
    token = config_of("worker").main["machine"]["token"]
    hidden = _on_a_terminal(*given)
    assert token not in hidden
    assert "token: '******'" in hidden
    assert token in _on_a_terminal(*given, "-o", "-")
    refused = _on_a_terminal("secrets", "generate")
    assert "error: keys are not shown on a terminal" in refused


@pytest.mark.parametrize("spread", [False, True])
def test_patches_are_applied_in_their_order(command, worker, tmp_path, spread):
    names = []
    for number in (1, 2):
        path = tmp_path / f"{number}.yaml"
        path.write_text(f"cluster: {{clusterName: number-{number}}}\n")
        names += [path] if spread and names else ["--patch", path]
    shown = command("machineconfig", "patch", worker, *names)
    assert "clusterName: number-2\n" in shown.stdout, shown.stderr


def test_a_bad_patch_is_refused_with_its_file_line_and_path(command, worker, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("machine:\n  network: {hostnam: a}\n")
    shown = command("machineconfig", "patch", worker, "--patch", path)
    assert shown.returncode == 1
    assert shown.stderr.splitlines() == [
        "error: unknown key; did you mean 'hostname'?",
        f"  {path}:2: machine.network.hostnam",
    ]


def test_a_verdict_tells_every_mistake_and_counts(command, worker):
    assert command("machineconfig", "validate", worker, "--mode", "metal").returncode == 0
    worker.write_text(worker.read_text().replace("worker", "banana").replace("/dev/sda", '""'))
    shown = command("machineconfig", "validate", worker, "--mode", "metal")
    assert shown.returncode == 1
    assert shown.stderr.count("error: ") == 2
    assert f"{worker}: machine.type" in shown.stderr
    listed = command("machineconfig", "validate", worker, "--mode", "cloud", "-o", "json")
    assert [error["path"] for error in json.loads(listed.stdout)["errors"]] == ["machine.type"]
    worker.write_text("machine: {nope: 1}\n")
    assert command("machineconfig", "validate", worker).returncode == 1
    assert command("machineconfig", "validate", worker.parent / "none.yaml").returncode == 2


def test_strict_turns_warnings_into_mistakes(command, worker):
    worker.write_text(worker.read_text().replace("type: worker", "type: join"))
    lenient = command("machineconfig", "validate", worker)
    assert (lenient.returncode, lenient.stderr.split(":")[0]) == (0, "warning")
    assert command("machineconfig", "validate", worker, "--strict").returncode == 1


def test_a_difference_is_one_of_meaning_and_shows_no_secret(command, worker, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text("# a comment\n" + worker.read_text())
    assert command("machineconfig", "diff", worker, other).returncode == 0
    token = config_of("worker").main["machine"]["token"]
    other.write_text(worker.read_text().replace(token, "aaaaaa.bbbbbbbbbbbbbbbb").replace("sda", "sdb"))
    shown = command("machineconfig", "diff", worker, other)
    assert shown.returncode == 1
    assert "+    token: '****** (another)'\n" in shown.stdout
    assert "-        disk: /dev/sda\n+        disk: /dev/sdb\n" in shown.stdout
    assert "aaaaaa" not in shown.stdout
    assert token not in shown.stdout
    listed = command("machineconfig", "diff", worker, other, "-o", "json")
    assert json.loads(listed.stdout) == {"paths": ["machine.install.disk", "machine.token"]}
    other.write_text("machine: [")
    assert command("machineconfig", "diff", worker, other).returncode == 2


def test_secrets_that_cannot_be_used_are_refused_with_their_part(command, secrets, wishes):
    for old, new, what, where in (
        ("crt: LS0t", "crt: LS!t", "not base64 of PEM text", "certs.etcd.crt"),
        ("key: LS0t", "key: eHh4", "this is not an unencrypted PEM private key", "certs.etcd"),
        ("    id: ", "    was: ", "missing from the secrets bundle", "cluster.id"),
        ("cluster:", "cluster: [", "", ""),
    ):
        secrets.write_text(BUNDLE.replace(old, new, 1))
        shown = command(
            "machineconfig", "render", "--secrets", secrets, "--input", wishes, "--role", "worker"
        )
        assert shown.returncode == 1
        assert shown.stderr.startswith(f"error: {what}")
        assert where in shown.stderr
        assert "eHh4" not in shown.stderr


def test_an_expired_authority_and_a_strange_key_are_refused(command, secrets, wishes):
    ours, theirs = parse(BUNDLE), parse(OTHER_BUNDLE)
    given = ("machineconfig", "render", "--secrets", secrets, "--input", wishes, "--role", "worker")
    for changed, what in (
        ({"os": Pair(ours.os.crt, theirs.os.key)}, "the key is not that of the certificate"),
        ({"os": make_authority("ed25519", "talos", now=NOW - 7200, ttl_s=3600)}, "the authority expired on"),
    ):
        secrets.write_text(dataclasses.replace(ours, **changed).text())
        shown = command(*given)
        assert (shown.returncode, shown.stdout) == (1, "")
        assert shown.stderr.startswith(f"error: {what}")
        assert f"{secrets}: certs.os" in shown.stderr


def test_a_patch_that_cuts_the_machine_off_is_refused_unless_forced(command, worker, tmp_path):
    path = tmp_path / "cut.yaml"
    path.write_text("machine: {token: {$patch: delete}}\n")
    shown = command("machineconfig", "patch", worker, "--patch", path)
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr.startswith("error: must not be removed")
    assert f"{path}: machine.token" in shown.stderr
    forced = command("machineconfig", "patch", worker, "--patch", path, "--force")
    assert 'token: ""' in forced.stdout
