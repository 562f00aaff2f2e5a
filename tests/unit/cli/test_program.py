"""The command line as a person meets it: help, exit codes, one form of errors, completion."""

from __future__ import annotations

import pytest

from engine.base.errors import Refused, SettingsError, Unreachable
from engine.cli.failures import CommandFailed, explain
from engine.cli.program import VERBS


def test_without_a_verb_the_help_is_shown_and_that_is_no_failure(command):
    shown = command()
    assert shown.returncode == 0
    for verb in VERBS:
        assert f"\n  {verb} " in shown.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_teaches_with_examples(command, verb):
    shown = command(verb, "--help")
    assert shown.returncode == 0
    assert "Examples:" in shown.stdout
    assert f"talos-operator {verb}" in shown.stdout.split("Examples:")[1]


def test_an_unknown_verb_is_not_understood(command):
    shown = command("frobnicate")
    assert shown.returncode == 2
    assert shown.stderr.startswith("error: ")
    assert "frobnicate" in shown.stderr
    assert "\n  hint: talos-operator --help" in shown.stderr
    assert shown.stdout == ""


def test_an_unknown_flag_names_the_help_of_its_own_verb(command):
    shown = command("run", "--frob")
    assert shown.returncode == 2
    assert "hint: talos-operator run --help" in shown.stderr


def test_the_version_is_the_packages(command):
    from engine import __version__

    assert command("--version").stdout == f"talos-operator {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_names_the_program(command, shell):
    shown = command("completion", shell)
    assert shown.returncode == 0
    assert "_TALOS_OPERATOR_COMPLETE" in shown.stdout


def test_a_half_typed_verb_is_completed(command):
    asked = {
        "_TALOS_OPERATOR_COMPLETE": "bash_complete",
        "COMP_WORDS": "talos-operator val",
        "COMP_CWORD": "1",
    }
    assert command(env=asked).stdout.strip() == "plain,validate"


def test_a_remote_error_tells_what_where_and_what_to_do():
    failure = explain(Unreachable("connection refused", source="127.0.0.1:6443", operation="GET /version"))
    assert failure is not None
    assert str(failure).splitlines()[:2] == ["error: connection refused", "  in GET /version 127.0.0.1:6443"]
    assert "hint: " in str(failure)
    assert failure.code == 1


def test_an_unusable_setting_is_misuse():
    failure = explain(SettingsError("--workers 0: at least 1"))
    assert failure is not None
    assert failure.code == 2


def test_a_refusal_has_no_hint_that_it_cannot_know():
    assert "hint" not in str(explain(Refused("no", source="kubernetes", operation="POST")))


def test_the_operating_systems_errors_name_the_file():
    failure = explain(PermissionError(13, "Permission denied", "/root/x"))
    assert str(failure) == "error: permission denied\n  /root/x"


def test_a_bug_is_not_explained_away():
    assert explain(KeyError("x")) is None


def test_a_failed_command_says_what_it_was_given():
    failure = explain(CommandFailed("no kind is called 'x'", hint="did you mean y?", code=2))
    assert str(failure) == "error: no kind is called 'x'\n  hint: did you mean y?"
    assert failure.code == 2
