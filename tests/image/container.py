"""One container of the image, under what the Deployment says of its pod.

`flags_of` turns a pod of a manifest into flags of docker and podman; it knows what ours have and fails on anything
else, so that nothing in the manifest is left out silently. A `Container` ends with its block. Its network is loopback
alone. Neighbour: `tools` runs it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.image.tools import LIMITS, Tool

_POD = {"containers", "securityContext", "volumes", "serviceAccountName", "terminationGracePeriodSeconds"}
_CONTAINER = {"name", "image", "args", "ports", "securityContext", "resources", "volumeMounts"} | {
    "livenessProbe",
    "readinessProbe",
}
"""What `flags_of` sees to, or what concerns others than the container."""
_ASK = """
import os, ssl, sys, urllib.error, urllib.request
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
url, *headers = sys.argv[1:]
body = os.environ.get("BODY")
request = urllib.request.Request(url, body and body.encode(), dict(header.split(": ", 1) for header in headers))
try:
    answer = urllib.request.urlopen(request, timeout=10, **({"context": context} if url.startswith("https") else {}))
except urllib.error.HTTPError as error:
    answer = error
print(answer.status)
print(answer.read().decode())
"""


def flags_of(pod: Mapping[str, Any], mounts: Mapping[str, Path]) -> list[str]:
    """The flags that make a container of the pod's only one. `mounts`: name of a volume -> what stands for it here."""
    (container,) = pod["containers"]
    assert set(pod) - _POD == set()
    assert set(container) - _CONTAINER == set()
    limits = dict(container["resources"]["limits"])
    flags = [f"--memory={limits.pop('memory').removesuffix('i').lower()}"]
    assert not limits, limits
    security = {**pod["securityContext"], **container["securityContext"]}
    user, group = security.pop("runAsUser"), security.pop("runAsGroup")
    flags += [f"--user={user}:{group}"]
    assert security.pop("runAsNonRoot") is True
    assert security.pop("seccompProfile") == {
        "type": "RuntimeDefault"
    }  # docker and podman have theirs on by default
    assert security.pop("allowPrivilegeEscalation") is False
    flags += ["--security-opt=no-new-privileges"]
    flags += [f"--cap-drop={name.lower()}" for name in security.pop("capabilities")["drop"]]
    if security.pop("readOnlyRootFilesystem"):
        flags += ["--read-only"]
    assert not security, security
    volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
    for mount in container.get("volumeMounts", ()):
        name, path = mount["name"], mount["mountPath"]
        if name in mounts:
            flags += [f"--volume={mounts[name]}:{path}:{'ro' if mount.get('readOnly') else 'rw'}"]
            continue
        memory = volumes[name]["emptyDir"]
        assert memory["medium"] == "Memory"
        flags += [f"--tmpfs={path}:mode=1777,size={memory['sizeLimit'].removesuffix('i').lower()}"]
    return flags


@dataclass(frozen=True)
class Container:
    """A container that was started, by its name."""

    tool: Tool
    name: str

    def ask(self, url: str, *headers: str, body: str = "") -> tuple[int, str]:
        """Status and body of a GET from inside, or of a POST of `body`; 0 and the reason while nobody listens."""
        given = [f"BODY={body}"] if body else []
        done = self.execute("env", *given, "python", "-c", _ASK, url, *headers, code=None)
        if done.returncode:
            return 0, done.stderr
        status, _, body = done.stdout.partition("\n")
        return int(status), body.strip()

    def execute(self, *command: str, code: int | None = 0) -> Any:
        return self.tool("exec", self.name, *command, code=code)

    def log(self) -> str:
        done = self.tool("logs", self.name)
        return done.stdout + done.stderr

    @property
    def state(self) -> dict[str, Any]:
        """`Status` and `ExitCode`, among others."""
        (found,) = json.loads(self.tool("inspect", "--type=container", self.name).stdout)
        state: dict[str, Any] = found["State"]
        return state


@contextmanager
def started(
    tool: Tool,
    image: str,
    arguments: Sequence[str],
    flags: Sequence[str] = (),
    network: Container | None = None,
) -> Iterator[Container]:
    """A running container, with a loopback of its own or that of `network`; it is removed afterwards."""
    name = f"talos-operator-test-{uuid.uuid4().hex[:8]}"
    own = "none" if network is None else f"container:{network.name}"
    if tool.name == "podman":
        flags = [
            *flags,
            "--read-only-tmpfs=false",
        ]  # as docker and Kubernetes: nothing to write to but what is said
    tool("run", "--detach", f"--name={name}", f"--network={own}", *LIMITS, *flags, image, *arguments)
    try:
        yield Container(tool, name)
    finally:
        tool("rm", "--force", name, code=None)


def until(what: str, probe: Callable[[], Any], log: Callable[[], str], within_s: float = 60) -> Any:
    """Waits until `probe()` is true and gives its answer; fails with `what` and the log."""
    deadline = time.monotonic() + within_s
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}\n{log()}"
        time.sleep(0.2)
    return answer
