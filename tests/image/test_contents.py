"""What is in the image, and what is not."""

from __future__ import annotations

import json
import re

import pytest

from engine import __version__
from tests.conftest import ROOT
from tests.image.container import flags_of
from tests.image.tools import LIMITS

pytestmark = [pytest.mark.slow, pytest.mark.image, pytest.mark.timeout(1200)]

TOOLS = re.compile(
    r"/(pip|ensurepip|setuptools|bin/(pip.*|cc|gcc.*|g\+\+.*|clang.*|tcc|as|ld|make|go|rustc|cargo))$"
)
PROJECT = "/opt/talos-operator"


@pytest.fixture(scope="module")
def configuration(tool, image):
    (found,) = json.loads(tool("image", "inspect", image).stdout)
    return found["Config"]


@pytest.fixture(scope="module")
def files(tool, image):
    """Every path in the image, but for what the kernel shows."""
    listed = [
        "--user=0",
        "--entrypoint=find",
        image,
        "/",
        "-xdev",
        "(",
        "-path",
        "/proc",
        "-o",
        "-path",
        "/sys",
        ")",
    ]
    return tool(
        "run", "--rm", "--network=none", *LIMITS, *listed, "-prune", "-o", "-print"
    ).stdout.splitlines()


def test_the_image_tells_its_version_in_a_label_and_by_its_program(tool, image, configuration):
    labels = configuration["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert re.fullmatch(r"[0-9a-f]{40}(-modified)?", labels["org.opencontainers.image.revision"])
    shown = tool("run", "--rm", "--network=none", *LIMITS, image, "--version").stdout
    assert shown == f"talos-operator {__version__}\n"


def test_the_image_runs_the_engine_as_a_user_without_rights(configuration):
    assert configuration["User"] == "65532:65532"
    assert configuration["Entrypoint"] == ["talos-operator"]
    assert configuration["Cmd"] == ["run"]


def test_no_installer_no_compiler_and_no_tests_are_in_the_image(files):
    assert [path for path in files if TOOLS.search(path)] == []
    ours = [path for path in files if path.startswith(PROJECT)]
    assert [path for path in ours if "/tests" in path or "/testdata" in path] == []
    assert f"{PROJECT}/bin/talos-operator" in ours
    unwanted = {path for path in ours if re.fullmatch(rf"{PROJECT}/bin/[^/]+", path)}
    assert {path.rpartition("/")[2].rstrip("0123456789.") for path in unwanted} == {
        "python",
        "talos-operator",
    }


def test_rules_schemas_and_dashboards_are_in_the_image(files):
    inside = {path.partition("/engine/_assets/")[2] for path in files if "/_assets/" in path}
    outside = {
        path.relative_to(ROOT).as_posix()
        for folder in ("rules", "schemas", "grafana", "alerting")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.relative_to(ROOT).parts[1] != "tests"
    }
    assert outside <= inside


def test_nothing_is_compiled_when_the_engine_starts(tool, image):
    flags = ["--env=PYTHONVERBOSE=1", *LIMITS]
    done = tool(
        "run", "--rm", "--network=none", *flags, image, "run", "--standalone", "/dev/null/x", code=None
    )
    loaded = re.findall(r"^# code object from '?([^'\n]+)'?$", done.stderr, re.MULTILINE)
    assert len(loaded) > 100
    assert [path for path in loaded if not path.endswith(".pyc")] == []


def test_two_builds_of_one_checkout_are_equal_to_the_byte(tool, image, build):
    first = tool("image", "inspect", "--format={{.Id}}", image).stdout.strip()
    second = build("localhost/talos-operator-test:again")
    if tool.name == "docker":
        pytest.skip("docker keeps the dates of files; buildah and podman do not")
    assert first == second


def test_a_whole_cluster_is_brought_up_inside_a_container(tool, image, pod):
    quickstart = [f"--volume={ROOT}/examples/quickstart.yaml:/quickstart.yaml:ro"]
    command = ["run", "--standalone", "/tmp/demo", "--simulate", "5", "--apply", "/quickstart.yaml"]
    flags = ["--rm", "--network=none", "--read-only-tmpfs=false", *LIMITS, *flags_of(pod, {}), *quickstart]
    if tool.name == "docker":
        flags.remove("--read-only-tmpfs=false")
    done = tool("run", *flags, image, *command, "--until-ready", "240s", code=None, timeout_s=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "everything applied is Ready" in done.stdout
