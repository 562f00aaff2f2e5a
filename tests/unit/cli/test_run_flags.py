"""`run`: flags and environment into Settings, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from engine.base.errors import SettingsError
from engine.cli.run import command as run_command
from engine.cli.run import settings_from
from engine.settings import BindAddress, LeaderElection, Settings


def parsed(*arguments: str) -> Settings:
    context = run_command.make_context("run", list(arguments))
    return settings_from(dict(context.params))


def test_without_flags_the_engine_serves_securely_on_every_interface():
    settings = parsed()
    assert (settings.metrics_bind_address, settings.metrics_secure) == (BindAddress("", 8443), True)
    assert settings.health_probe_bind_address == BindAddress("", 8081)
    assert settings == Settings()


def test_standalone_serves_on_loopback_in_plain_text():
    settings = parsed("--standalone", "d")
    assert (settings.metrics_bind_address, settings.metrics_secure) == (BindAddress("127.0.0.1", 8080), False)
    assert settings.health_probe_bind_address == BindAddress("127.0.0.1", 8081)


def test_given_addresses_win_over_both_defaults():
    settings = parsed("--standalone", "d", "--metrics-bind-address", "127.0.0.1:9", "--metrics-secure")
    assert (settings.metrics_bind_address, settings.metrics_secure) == (BindAddress("127.0.0.1", 9), True)


def test_a_boolean_flag_takes_its_value_as_the_reference_operator_takes_it():
    assert parsed("--metrics-secure=false").metrics_secure is False


def test_the_meta_key_is_switched_by_the_variable_of_the_older_operator_too(monkeypatch):
    assert parsed().meta_key is False
    assert parsed("--enable-meta-key").meta_key is True
    monkeypatch.setenv("ENABLE_META_KEY", "true")
    assert parsed().meta_key is True
    assert parsed("--enable-meta-key=false").meta_key is False


def test_zero_switches_a_server_off():
    settings = parsed("--metrics-bind-address", "0", "--health-probe-bind-address=0")
    assert settings.metrics_bind_address is None
    assert settings.health_probe_bind_address is None


def test_apply_and_rules_may_be_given_again_and_again():
    settings = parsed("--apply", "a.yaml", "--apply", "b.yaml", "--rules", "r")
    assert settings.apply == (Path("a.yaml"), Path("b.yaml"))
    assert settings.rules == (Path("r"),)


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("1m30s", 90), ("2h", 7200), ("500ms", 0.5)])
def test_a_timeout_is_read_with_its_unit(text, seconds):
    assert parsed("--until-ready", text, "--apply", "x").until_ready_s == seconds


@pytest.mark.parametrize("text", ["60", "1x", "", "s", "1m 2s", "-1s"])
def test_a_timeout_without_a_sound_unit_is_refused_with_an_example(text):
    with pytest.raises(click.BadParameter, match="write it like 60s"):
        parsed("--until-ready", text)


@pytest.mark.parametrize("text", ["8080", "host:", "host:x", "host:70000", "::1:80"])
def test_an_address_that_nobody_can_listen_on_is_refused(text):
    with pytest.raises(click.BadParameter):
        parsed("--metrics-bind-address", text)


def test_an_ipv6_address_stands_in_brackets():
    address = BindAddress.parse("[::1]:8080")
    assert (address.host, address.port, str(address)) == ("::1", 8080, "[::1]:8080")


def test_the_environment_sets_what_no_flag_sets(monkeypatch):
    monkeypatch.setenv("TALOS_OPERATOR_WORKERS", "3")
    monkeypatch.setenv("TALOS_OPERATOR_LOG_FORMAT", "json")
    settings = parsed("--workers", "4")
    assert (settings.workers, settings.log_format) == (4, "json")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Settings(simulate=3), "--simulate needs --standalone"),
        (Settings(simulate=-1, standalone=Path("d")), "--simulate -1"),
        (Settings(standalone=Path("d"), kubeconfig=Path("k")), "leave out --kubeconfig"),
        (Settings(until_ready_s=1.0), "--until-ready"),
        (Settings(workers=0), "--workers 0"),
        (Settings(apply=(Path("/nowhere.yaml"),)), "/nowhere.yaml does not exist"),
    ],
)
def test_settings_that_contradict_themselves_name_the_flag(settings, named):
    with pytest.raises(SettingsError, match=named):
        settings.check()


def test_the_calls_of_simulated_machines_are_written_beside_their_disks():
    assert Settings(standalone=Path("d"), simulate=2).calls == Path("d/calls.jsonl")
    assert Settings(standalone=Path("d")).calls is None


def test_with_simulated_machines_nothing_else_is_dialled():
    assert Settings(standalone=Path("d"), simulate=2).loopback_only
    assert not Settings(standalone=Path("d")).loopback_only


def test_leaders_are_elected_only_where_asked_for_and_with_the_times_that_users_know():
    assert parsed().leader_election is None
    assert parsed("--leader-elect=false").leader_election is None
    assert parsed("--leader-elect").leader_election == LeaderElection(
        name="ffa5cb32.alperen.cloud", namespace=None, lease_s=15, renew_s=10, retry_s=2
    )
    given = parsed(
        *("--leader-elect=true", "--leader-election-id", "mine", "--leader-election-namespace", "n"),
        *("--leader-elect-lease-duration", "1m", "--leader-elect-renew-deadline", "40s"),
        *("--leader-elect-retry-period", "500ms"),
    )
    assert given.leader_election == LeaderElection(
        name="mine", namespace="n", lease_s=60, renew_s=40, retry_s=0.5
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--leader-elect-lease-duration", "10s"), "longer than --leader-elect-renew-deadline 10s"),
        (
            ("--leader-elect-renew-deadline", "2400ms"),
            "longer than 1.2 times --leader-elect-retry-period 2s",
        ),
        (("--leader-elect-lease-duration", "500ms"), "at least 1s"),
        (("--leader-elect-retry-period", "0s"), "more than nothing"),
        (("--leader-election-id", "No Name"), "no name of an object"),
        (("--standalone", "d"), "leave it out with --standalone"),
        (("--apply", "x", "--until-ready", "5s"), "leave out --leader-elect"),
    ],
)
def test_an_election_that_cannot_work_is_refused_with_its_flags(arguments, told):
    with pytest.raises(SettingsError, match=told):
        parsed("--leader-elect", *arguments).check()
