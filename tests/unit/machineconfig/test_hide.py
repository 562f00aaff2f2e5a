"""A text about configurations, such as a machine's own difference, shows nothing private of them."""

from __future__ import annotations

import difflib

from engine.machineconfig.hide import hidden

OLD = """
machine:
  type: controlplane
  token: abcdef.0123456789abcdef
  ca: {crt: LS0tLS1DRVJU, key: LS0tLS1CRUdJTiBLRVk=}
  install: {disk: /dev/sda}
  env: {http_proxy: "http://me:hunter2@proxy:3128"}
  files:
    - content: |
        user: me
        password: hunter2 and more
      path: /var/etc/pull.yaml
cluster:
  secret: c2VjcmV0c2VjcmV0
"""
NEW = OLD.replace("/dev/sda", "/dev/sdb").replace("hunter2", "hunter3").replace("0123", "9876")


def test_a_difference_keeps_what_is_plain_and_loses_what_is_private() -> None:
    lines = difflib.unified_diff(OLD.splitlines(), NEW.splitlines(), "a", "b", lineterm="")
    shown = hidden("\n".join(lines), OLD, NEW)
    assert "-  install: {disk: /dev/sda}" in shown
    assert "+  install: {disk: /dev/sdb}" in shown
    for private in ("hunter", "abcdef.", "LS0tLS1CRUdJTiBLRVk", "c2VjcmV0"):
        assert private not in shown, private


def test_a_short_secret_is_hidden_by_its_key() -> None:
    assert (
        hidden("+    password: abc\n+    username: abc", OLD) == "+    password: ******\n+    username: abc"
    )


def test_a_configuration_that_cannot_be_read_hides_everything() -> None:
    assert hidden("token: abc", "{") == "******"
