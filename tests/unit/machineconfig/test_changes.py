"""What differs between two configurations is told value for value, and no secret is among the values."""

from __future__ import annotations

import pytest

from engine.machineconfig import diff
from engine.machineconfig.changes import told

CONFIG = """
version: v1alpha1
machine:
  type: controlplane
  install: {disk: /dev/sda}
"""


def changed(addition: str, before: str = "") -> list[str]:
    return told(CONFIG + before, CONFIG + addition)


@pytest.mark.parametrize(
    ("before", "addition", "line"),
    [
        ("", "  kubelet: {image: a:v1}\n", "machine.kubelet.image: (absent) -> a:v1"),
        ("  kubelet: {image: a:v1}\n", "  kubelet: {image: a:v2}\n", "machine.kubelet.image: a:v1 -> a:v2"),
        ("  certSANs: [a]\n", "  certSANs: [a, b]\n", "machine.certSANs: (1 item) -> (2 items)"),
        (
            "",
            "---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n",
            "HostnameConfig: document: (absent) -> (3 keys)",
        ),
    ],
)
def test_a_difference_is_a_line_with_its_path_and_both_values(before: str, addition: str, line: str) -> None:
    assert changed(addition, before) == [line]


@pytest.mark.parametrize(
    ("before", "addition"),
    [
        ("  token: one.hunter2\n", "  token: two.hunter2\n"),
        ("  env: {PASSWORD: hunter1}\n", "  env: {PASSWORD: hunter2}\n"),
        (
            "  files: [{path: /var/a, content: hunter1, permissions: 0o600, op: create}]\n",
            "  files: [{path: /var/a, content: hunter2, permissions: 0o600, op: create}]\n",
        ),
        (
            "  registries: {config: {a: {auth: {username: me, password: hunter1}}}}\n",
            "  registries: {config: {a: {auth: {username: me, password: hunter2}}}}\n",
        ),
        (
            "cluster: {controlPlane: {endpoint: 'https://me:hunter1@a:6443'}}\n",
            "cluster: {controlPlane: {endpoint: 'https://me:hunter2@a:6443'}}\n",
        ),
    ],
)
def test_of_a_secret_only_the_fact_is_told(before: str, addition: str) -> None:
    (line,) = changed(addition, before)
    assert "hunter" not in line
    assert line.split(":")[0] in diff.text_paths(CONFIG + before, CONFIG + addition)[0]


def test_texts_that_say_the_same_differ_in_nothing() -> None:
    assert told(CONFIG, "# by hand\n" + CONFIG.replace("{disk: /dev/sda}", "{'disk': \"/dev/sda\"}")) == []
