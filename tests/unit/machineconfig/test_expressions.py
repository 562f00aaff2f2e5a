"""CEL expressions are refused where Talos's own library refuses them, and say why; the verdicts are the library's."""

from __future__ import annotations

import pytest

from engine.machineconfig.celtypes import mistake


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("disk", "system_disk"),
        ("disk", "disk.size > 120u * GB && disk.size < 1u * TB"),
        ("disk", "disk.transport == 'nvme' && !disk.rotational && !system_disk"),
        ("disk", "glob('/dev/sd*', disk.dev_path) || '/dev/a' in disk.symlinks"),
        ("disk", "disk.symlinks.exists(link, link.startsWith('/dev/disk/by-id'))"),
        ("disk", "[1, 2].map(x, x + 1)[0] == 2 ? has(disk.serial) : r\"\\d\" == '''x'''"),
        ("volume", 'volume.partition_label == "MY-DATA" && disk.serial == "a"'),
        ("link", 'mac(link.permanent_addr) == "00:1a:2b:3c:4d:5e"'),
        ("oomTrigger", "memory_full_avg10 > 12.0 && time_since_trigger > duration('500ms')"),
        ("oomTrigger", "qos_memory_current[Besteffort] > 1.0 // the rest"),
        ("disk", "disk.serial == proto.Known{a: 1}.a"),
    ],
)
def test_what_the_library_takes_is_taken(place: str, text: str):
    assert mistake(text, place) == ""


@pytest.mark.parametrize(
    ("place", "text", "says"),
    [
        ("disk", "disk.size", "gives uint; bool is needed"),
        ("disk", "disk.size > 100", "write 100u"),
        ("disk", "disk.sizes > 1u", "there is no field sizes"),
        ("link", "disk.size > 1u", "there is no disk here; known are"),
        ("volume", "system_disk", "there is no system_disk here"),
        ("disk", "foo(", "cannot stand here"),
        ("disk", "disk.size >", "'the end' cannot stand here"),
        ("disk", "disk.size > 10GB", "should end before 'GB'"),
        ("disk", "mac(disk.serial) == 'a'", "there is no function mac"),
        ("disk", "disk.serial.size() == 'a'", "is not for int, string"),
        ("disk", "has(system_disk)", "has() needs a field"),
        ("disk", "disk.symlinks.all(x, 1)", "no answer"),
        ("disk", 'disk.serial == "a', "cannot stand here"),
        ("oomTrigger", "memory_full_avg10", "gives double"),
    ],
)
def test_what_the_library_refuses_is_refused_with_the_reason(place: str, text: str, says: str):
    assert says in mistake(text, place)


def test_a_ranking_gives_a_number():
    ranking = "memory_max.hasValue() ? 0.0 : {Besteffort: 1.0, Burstable: 0.5}[class] * double(memory_current.orValue(0u))"
    assert mistake(ranking, "oomRanking", "double") == ""
    assert "bool" in mistake("memory_max.hasValue()", "oomRanking", "double")


def test_nothing_nested_breaks_the_reader():
    assert mistake("(" * 10_000, "disk") == ""
    assert mistake("!" * 10_001 + "system_disk", "disk") == ""
