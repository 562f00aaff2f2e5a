"""docs/backups.md, followed word for word by somebody who has just lost a cluster.

NAME and ADDRESS are what the page says they are. `talosctl` is the one program that is not run: what the page says to type is
read, and sent to the machine as talosctl sends it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.base.kinds import Key
from engine.base.yamltext import dump, load_documents
from tests.conformance.kubectl import find
from tests.sim.cluster import API, BOOTSTRAP, NAME, RESET, Cluster, quickstart, started
from tests.sim.shipped import ROOT, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PAGE = (ROOT / "docs" / "backups.md").read_text("utf-8")
RESTORE = PAGE.partition("\n## Restore\n")[2].partition("\n### By manifest\n")[0]
ALL = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
KIND = "TalosControlPlane"


def typed(part: str) -> list[str]:
    """The commands that a part of the page says to type, a block each."""
    return re.findall(r"^```sh\n(.*?)^```", part, re.MULTILINE | re.DOTALL)


def answers() -> dict[str, str]:
    """What the page says to do, by what the command may say."""
    table = RESTORE.partition("| It says | Do |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [re.fullmatch(r"\| `(.+?)` \| (.+) \|", line) for line in table.splitlines()]
    return {row[1]: row[2] for row in rows if row is not None}


(VERIFY,) = typed(PAGE.partition("\n## Restore\n")[0])
APPLY, LOOK, DO, WAIT = typed(RESTORE)


class Person:
    """Somebody in a folder with the files of a backup, who types what the page says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        programs = folder / "bin"
        programs.mkdir()
        (programs / "talos-operator").write_text(f'#!/bin/sh\nexec {sys.executable} -m engine "$@"\n')
        kubectl = find()
        if kubectl is None:
            pytest.skip("there is no kubectl")
        (programs / "kubectl").symlink_to(kubectl)
        (programs / "talos-operator").chmod(0o755)
        self._environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
        self._environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"

    def works_with(self, cluster: Cluster) -> None:
        self._environment["KUBECONFIG"] = str(cluster.run.folder / "kubeconfig")

    def types(self, command: str, answer: str = "") -> tuple[int, str]:
        """The exit code and everything that was said."""
        done = subprocess.run(
            ["bash", "-e", "-c", command.replace("NAME", NAME)],
            input=answer,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self._environment,
            timeout=150,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def is_told(self, said: str) -> str:
        """The row of the page's table that what was said is in; what to do then."""
        rows = {row: do for row, do in answers().items() if _means(row, said)}
        assert len(rows) == 1, (said, list(rows))
        return next(iter(rows.values()))

    def looks(self) -> str:
        """Step 2, until it says something that does not pass by itself; what to do then."""
        return str(until("the page has an answer", lambda: self.is_told(self.types(LOOK)[1])))

    def keeps(self, cluster: Cluster, backups: Path) -> None:
        """Take a backup, and keep its two files here under the names that the page uses."""
        spec = {"talosControlPlaneRef": {"name": NAME}, "backupStorage": {"directory": {}}}
        body = {"apiVersion": API, "kind": "TalosEtcdBackup", "metadata": {"name": "kept"}, "spec": spec}
        cluster.apply(body)
        cluster.ready("TalosEtcdBackup", "kept")
        status = cluster.get("TalosEtcdBackup", "kept")["status"]
        shutil.copy(backups / status["filename"], self.folder / "etcd-snapshot.db")
        shutil.copy(backups / status["stateFilename"], self.folder / "state.yaml")

    def restores(self, cluster: Cluster, *, more: str = "") -> None:
        """Steps 3 and 4."""
        code, said = self.types(DO.rstrip() + more, answer="y\n")
        assert code == 0, said
        code, said = self.types(WAIT)
        assert re.search(r"^Restored +True +Restored\b", said, re.MULTILINE), said
        held = lambda: [each["etcd"] and each["etcd"]["keys"] for each in cluster.run.machines().values()]  # noqa: E731
        until("all members answer with the snapshot's state", lambda: held() == [{"/colour": "blue"}] * 3)
        cluster.ready(KIND)


def _means(row: str, said: str) -> bool:
    parts = [re.escape(part.strip()) for part in row.replace("NAME", NAME).split("...")]
    return re.search(".*".join(parts), said) is not None


def reset_as_told(cluster: Cluster, do: str, *addresses: str) -> None:
    """What the page's `talosctl reset` sends, to these machines; returns when their etcds wait."""
    (command,) = re.findall(r"`(talosctl [^`]+)`", do)
    words = shlex.split(command)
    assert words[:4] == ["talosctl", "-n", "ADDRESS", "reset"]
    assert set(words[4:]) == {"--graceful=false", "--reboot", "--system-labels-to-wipe", "EPHEMERAL"}
    label = words[words.index("--system-labels-to-wipe") + 1]
    request: dict[str, Any] = {
        "graceful": False,
        "reboot": True,
        "system_partitions_to_wipe": [{"label": label, "wipe": True}],
    }
    for address in addresses:
        with cluster.machine_api(address) as machine:
            machine.call(RESET, request)
    waits = lambda: all(cluster.run.machines()[at]["services"].get("etcd") == "Preparing" for at in addresses)  # noqa: E731
    until("their etcds wait", waits)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path / "desk")


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups"


def running(folder: Path, backups: Path) -> Any:
    return started(folder, "--backup-directory", str(backups), machines=3)


def bring_up(cluster: Cluster) -> None:
    cluster.run.control(op="speed", factor=3)
    cluster.apply(quickstart(3, 0))
    cluster.ready(KIND)
    cluster.run.control(op="put", machine=ALL[0], key="/colour", value="blue")


def test_the_page_leads_from_a_lost_etcd_to_one_that_answers(
    tmp_path: Path, person: Person, backups: Path
) -> None:
    with running(tmp_path / "run", backups) as cluster:
        person.works_with(cluster)
        bring_up(cluster)
        person.keeps(cluster, backups)
        code, said = person.types(VERIFY)
        assert (code, ": whole, " in said) == (0, True)
        cluster.run.control(op="put", machine=ALL[0], key="/colour", value="red")
        assert person.looks().startswith("nothing is lost; do not restore.")
        survives = next(do for do in answers().values() if "talosctl" in do)
        reset_as_told(cluster, survives, *ALL[:2])
        do = person.looks()
        assert do == survives
        reset_as_told(cluster, do, ALL[2])
        secret = Key(cluster.client.kind_named("v1", "Secret"), "default", f"{NAME}-state")
        kept = cluster.secret(secret.name)
        cluster.client.delete(secret)
        do = person.looks()
        assert do.startswith("`--state FILE` with the file beside the snapshot")
        person.restores(cluster, more=" --state state.yaml")
        assert cluster.secret(secret.name)["secretBundle"] == kept["secretBundle"]
        assert len(cluster.calls(BOOTSTRAP, ok=False)) == 2


def test_the_page_leads_from_nothing_but_a_backup_to_a_cluster_on_new_machines(
    tmp_path: Path, person: Person, backups: Path
) -> None:
    with running(tmp_path / "lost", backups) as cluster:
        bring_up(cluster)
        person.keeps(cluster, backups)
        kept = cluster.secret(f"{NAME}-state")
    code, said = person.types(VERIFY)
    digest = re.findall(r"sha256 ([0-9a-f]{64})", said)[0]
    (wanted,) = load_documents(re.findall(r"^```yaml\n(.*?)^```", RESTORE, re.MULTILINE | re.DOTALL)[0])
    assert wanted == {"restore": {"snapshot": "SHA256"}}
    document = quickstart(3, 0)
    document["spec"]["controlPlane"]["restore"] = {"snapshot": digest}
    (person.folder / "cluster.yaml").write_text(dump(document))
    with running(tmp_path / "new", backups) as cluster:
        person.works_with(cluster)
        code, said = person.types(APPLY)
        assert code == 0, said
        until("the snapshot may be sent", lambda: person.looks() == "go on with step 3", deadline_s=90)
        assert cluster.calls(BOOTSTRAP, ok=False) == []
        person.restores(cluster)
        assert cluster.secret(f"{NAME}-state")["secretBundle"] == kept["secretBundle"]
        assert len(cluster.calls(BOOTSTRAP, ok=False)) == 1
        cluster.ready()


def test_everything_that_the_page_says_the_command_may_say_is_said_somewhere() -> None:
    """Rows that no other test here meets, and the reasons of the condition."""
    sources = [*(ROOT / "engine").rglob("*.py"), *(ROOT / "rules").rglob("*.yaml")]
    program = re.sub(r'"\s+f?"', "", "\n".join(path.read_text("utf-8") for path in sources))
    program = re.sub(r"\{[a-z_.]+\}", "NAME-state", program)
    table = RESTORE.partition("| Reason | Means | Do |\n|---|---|---|\n")[2].partition("\n\n")[0]
    reasons = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert len(reasons) >= 6
    for row in [*answers(), *reasons]:
        parts = [re.escape(part.strip()) for part in row.split("...")]
        assert re.search(".*".join(parts), program), f"nothing says {row!r}"
