"""The commands below `talos-operator backup`: list what there is, verify a file, take another backup.

No kind is known here by name: a backup is what has a `backupStorage`, a schedule what has a `backupTemplate`.
Neighbours: `backup` is the group, `snapshotfile` verifies, `get` knows definitions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from engine.base.errors import Missing
from engine.base.kinds import Key, Kind
from engine.cli.columns import Column
from engine.cli.failures import MISUSED, CommandFailed
from engine.cli.get import definitions, everything, kind_of, print_rows, spec_fields
from engine.cli.parameters import Duration
from engine.cli.snapshotfile import as_json, in_words, size_in_words, verified

if TYPE_CHECKING:
    from engine.ports.kube.client import KubeClient

_OUTPUT: Final = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Form of the answer."
)
_KUBECONFIG: Final = click.option(
    "--kubeconfig", type=click.Path(path_type=Path), metavar="FILE", help="The cluster of the operator."
)
_NAMESPACE: Final = click.option(
    "-n", "--namespace", metavar="NAMESPACE", help="Look in NAMESPACE, in place of the current one."
)
_FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)
_STORED: Final = (
    Column("Key", ".key"),
    Column("Size", ".shown"),
    Column("Age", ".at", "date"),
    Column("State", ".state"),
)
_OBJECTS: Final = (
    Column("Name", ".metadata.name"),
    Column("Of", ".spec.talosControlPlaneRef.name"),
    Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    Column("Filename", ".status.filename"),
    Column("Age", ".metadata.creationTimestamp", "date"),
)
_SNAPSHOT, _LOOK_S = ".db", 0.5


@click.command("list", short_help="Show the backups of a directory or of the cluster.")
@click.option("--directory", type=_FOLDER, metavar="DIR", help="Look into this store; needs no cluster.")
@click.option("--verify", is_flag=True, help="Read every snapshot in DIR whole and verify it.")
@_NAMESPACE
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
@_OUTPUT
@_KUBECONFIG
def show(
    directory: Path | None,
    verify: bool,
    namespace: str | None,
    all_namespaces: bool,
    output: str,
    kubeconfig: Path | None,
) -> int:
    """Show the snapshots in a directory, or the backups that the cluster knows."""
    if directory is not None:
        return _show_stored(directory, output, verify=verify)
    if verify:
        raise CommandFailed("--verify reads a directory", hint="add --directory DIR", code=MISUSED)
    with connected(kubeconfig) as client:
        kind = kind_with(client, "backupStorage")
        found = everything(client, kind, None if all_namespaces else namespace or client.namespace)
    if output == "json":
        click.echo(json.dumps({"items": found}, indent=2))
        return 0
    columns = [Column("Namespace", ".metadata.namespace"), *_OBJECTS] if all_namespaces else list(_OBJECTS)
    print_rows(columns, found, time.time())
    return 0


def _show_stored(directory: Path, output: str, *, verify: bool) -> int:
    from engine.base.timestamps import rfc3339
    from engine.ports.stores.directory import DirectoryStore

    rows: list[dict[str, Any]] = []
    for stored in DirectoryStore(directory).list(""):
        if not stored.key.endswith(_SNAPSHOT):
            continue
        row = {
            "key": stored.key,
            "size": stored.size,
            "at": rfc3339(stored.modified),
            "state": "not verified",
        }
        if verify:
            row |= _judged(directory / stored.key)
        rows.append(row)
    if output == "json":
        click.echo(json.dumps({"items": rows}, indent=2))
    else:
        shown = [{**row, "shown": size_in_words(row["size"])} for row in rows]
        print_rows(list(_STORED), shown, time.time())
    return int(verify and any(row["state"] != "whole" for row in rows))


def _judged(path: Path) -> dict[str, Any]:
    try:
        facts = verified(path)
    except CommandFailed as error:
        return {"state": str(error)}
    return {"state": "whole", "sha256": facts.sha256, "revision": facts.revision}


@click.command("verify", short_help="Say whether a snapshot is whole.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@_OUTPUT
def verify(files: tuple[Path, ...], output: str) -> int:
    """Read snapshots whole and verify size, digest and database; exit code 1 when one is not whole. No cluster needed."""
    found = []
    for path in files:
        facts = verified(path)
        found.append(as_json(path, facts))
        if output == "table":
            click.echo(f"{path}: whole, {in_words(facts)}\n  sha256 {facts.sha256}")
    if output == "json":
        click.echo(json.dumps({"items": found}, indent=2))
    return 0


@click.command("create", short_help="Take a backup now.")
@click.argument("name")
@click.option(
    "--like",
    metavar="OBJECT",
    required=True,
    help="A schedule or a backup; what it says of what and where counts.",
)
@click.option("--timeout", type=Duration(), default="30m", help="How long to wait for the backup.")
@click.option("--no-wait", is_flag=True, help="Do not wait until it is there.")
@_NAMESPACE
@_KUBECONFIG
def create(
    name: str, like: str, timeout: float, no_wait: bool, namespace: str | None, kubeconfig: Path | None
) -> int:
    """Make a backup object called NAME and wait until the backup is stored and verified."""
    with connected(kubeconfig) as client:
        kind, place = kind_with(client, "backupStorage"), namespace or client.namespace
        key = Key(kind, place, name)
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.name,
            "metadata": {"name": name, "namespace": place},
            "spec": _spec_like(client, kind, place, like),
        }
        client.create(kind, place, body)
        click.echo(f"{kind.name} {place}/{name} is made", err=True)
        if not no_wait:
            filename = _wait(client, key, timeout)
            click.echo(filename)
    return 0


def _spec_like(client: KubeClient, backups: Kind, namespace: str, name: str) -> Mapping[str, Any]:
    for kind in (kind_with(client, "backupTemplate"), backups):
        try:
            found = client.get(Key(kind, namespace, name))["spec"]
        except Missing:
            continue
        spec: Mapping[str, Any] = found.get("backupTemplate", {}).get("spec") or found
        return spec
    hint = "talos-operator backup list shows the backups there are"
    raise CommandFailed(
        f"no schedule and no backup is called {name}", where=f"in namespace {namespace}", hint=hint
    )


def _wait(client: KubeClient, key: Key, timeout_s: float) -> str:
    end, told = time.monotonic() + timeout_s, ""
    while True:
        status = client.get(key).get("status") or {}
        conditions = {each["type"]: each for each in status.get("conditions") or ()}
        if conditions.get("Ready", {}).get("status") == "True":
            return str(status.get("filename", ""))
        failed = conditions.get("Failed", {})
        said = failed.get("message", "") if failed.get("status") == "True" else "waiting for the engine"
        if said != told:
            click.echo(said, err=True)
            told = said
        if time.monotonic() > end:
            hint = "it goes on; talos-operator backup list shows how it ends"
            raise CommandFailed(f"no backup within {timeout_s:g} s: {told}", hint=hint)
        time.sleep(_LOOK_S)


def kind_with(client: KubeClient, field: str) -> Kind:
    """The kind whose spec has this field. Raises CommandFailed where none has."""
    for definition in definitions(client):
        if field in spec_fields(definition):
            return kind_of(definition)
    raise CommandFailed("this cluster knows no backups", hint="are the operator's definitions installed?")


@contextmanager
def connected(kubeconfig: Path | None) -> Iterator[KubeClient]:
    """A client of the cluster, closed afterwards."""
    from engine.ports.kube.access import open_access
    from engine.ports.kube.client import KubeClient

    client = KubeClient(open_access(kubeconfig))
    try:
        yield client
    finally:
        client.close()
