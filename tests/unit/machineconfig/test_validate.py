from __future__ import annotations

import pytest

from engine.machineconfig.validate import validate_config
from tests.unit.machineconfig.samples import rendered


@pytest.mark.parametrize("role", ["controlplane", "worker"])
@pytest.mark.parametrize("mode", ["metal", "cloud", "container"])
def test_what_we_render_is_accepted(role: str, mode: str):
    assert validate_config(rendered(role).text, mode=mode, version="v1.13.9") == []


def test_problems_say_where_and_what():
    text = (
        rendered("worker").text.replace("type: worker", "type: banana").replace("disk: /dev/sda", 'disk: ""')
    )
    assert validate_config(text, version="v1.13.9") == [
        "machine.type: unknown machine type; use controlplane or worker",
        "machine.install.disk: a disk or a diskSelector is required",
    ]


def test_a_text_that_does_not_load_is_one_problem():
    assert validate_config("machine: {nope: 1}\n", version="v1.13.9") == [
        "machine.nope: unknown key (line 1)"
    ]


def test_a_kind_of_a_newer_version_is_refused_by_an_older_node():
    text = (
        rendered("worker").text + "---\napiVersion: v1alpha1\nkind: FilesystemTrimConfig\ninterval: 1h0m0s\n"
    )
    assert validate_config(text, version="v1.14.0") == []
    (problem,) = validate_config(text, version="v1.13.9")
    assert "FilesystemTrimConfig" in problem
