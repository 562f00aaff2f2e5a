"""`secrets generate`: a bundle that the rest of the program and Talos's own tools take."""

from __future__ import annotations

import stat

from engine.machineconfig.secretsbundle import parse


def test_a_new_bundle_is_written_for_its_owner_alone_and_never_over_another(command, tmp_path):
    path = tmp_path / "secrets.yaml"
    made = command("secrets", "generate", "--contract", "1.13", "-o", path)
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_text()
    parse(first)
    again = command("secrets", "generate", "-o", path)
    assert again.returncode == 1
    assert "the file is there already" in again.stderr
    assert path.read_text() == first
    assert command("secrets", "generate", "--force", "-o", path).returncode == 0
    assert path.read_text() != first


def test_a_contract_that_nothing_supports_is_refused(command):
    for contract, what in (("1.7", "before 1.8"), ("soon", "not a Talos version")):
        shown = command("secrets", "generate", "--contract", contract)
        assert (shown.returncode, shown.stdout) == (1, "")
        assert what in shown.stderr
        assert "\n  --contract\n" in shown.stderr


def test_a_contract_newer_than_what_is_known_is_said(command):
    shown = command("secrets", "generate", "--contract", "1.99")
    assert shown.returncode == 0
    assert shown.stderr.startswith("warning: newer than what is known; taken for 1.13")
