"""Settings, event ids, versions in image names: the small promises."""

from __future__ import annotations

import time

import pytest

from engine.base.errors import SettingsError
from engine.simulator import SimulatorSettings
from engine.simulator.configuration import stable_hostname, version_of_image
from engine.simulator.events import EventLog, is_xid, new_xid
from engine.simulator.faults import Fault, Faults


def test_machines_have_consecutive_addresses_beyond_one_network() -> None:
    addresses = SimulatorSettings(300).addresses()
    assert (addresses[0], addresses[-1], len(set(addresses))) == ("127.0.1.1", "127.0.2.44", 300)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (SimulatorSettings(0), "machines"),
        (SimulatorSettings(1, speed=0), "speed"),
        (SimulatorSettings(1, versions=()), "versions"),
        (SimulatorSettings(1, first_address="10.0.0.1"), "loopback"),
        (SimulatorSettings(9, first_address="127.255.255.250"), "loopback"),
        (SimulatorSettings(1, first_address="here"), "first address"),
        (SimulatorSettings(2, first_address="::1"), "::1 for one machine"),
    ],
)
def test_settings_that_cannot_work_are_named(settings: SimulatorSettings, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings.check()


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ghcr.io/siderolabs/installer:v1.13.9", "v1.13.9"),
        ("factory.talos.dev/metal-installer/376567:v1.14.0-rc.1", "v1.14.0-rc.1"),
        ("host:5000/installer:v1.13.9@sha256:00", "v1.13.9"),
        ("ghcr.io/siderolabs/installer:latest", None),
    ],
)
def test_the_version_of_an_installer_is_its_tag(image: str, version: str | None) -> None:
    assert version_of_image(image) == version


def test_event_ids_sort_by_age() -> None:
    ids = [new_xid(time.time()) for _ in range(50)]
    assert all(is_xid(text) for text in ids)
    assert ids == sorted(ids)


def test_the_event_buffer_forgets_the_oldest() -> None:
    log = EventLog()
    for number in range(1200):
        log.add("PhaseEvent", {"phase": str(number)})
    assert log.tail(count=-1)[0].value["phase"] == "210"
    assert [event.value["phase"] for event in log.tail(count=2)] == ["1198", "1199"]
    assert log.tail(after=log.tail(count=2)[0].id)[0].value["phase"] == "1199"


def test_a_stable_host_name_follows_the_identity() -> None:
    assert stable_hostname("a") == stable_hostname("a") != stable_hostname("b")


def test_an_ordered_failure_is_used_up() -> None:
    faults = Faults()
    faults.order(Fault("fail", "*", "m/X", count=2))
    assert [faults.take("127.0.0.1", name) is not None for name in ("m/Y", "m/X", "m/X", "m/X")] == [
        False,
        True,
        True,
        False,
    ]
