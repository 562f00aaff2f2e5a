"""The commands below `talos-operator backup`: list what there is, verify a file, take another backup.

No kind is known here by name: a backup is what has a `backupStorage`, a schedule what has a `backupTemplate`.
Neighbours: `backup` is the group, `snapshotfile` verifies, `buckets` reaches buckets, `get` knows definitions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from engine.base.errors import Missing
from engine.base.kinds import Key, Kind
from engine.cli.buckets import Address, AddressType, BucketAccess, FileOrObject, bucket_flags
from engine.cli.columns import Column
from engine.cli.failures import MISUSED, CommandFailed
from engine.cli.get import definitions, everything, kind_of, print_rows, spec_fields
from engine.cli.parameters import Duration
from engine.cli.snapshotfile import as_json, in_words, size_in_words, verified

if TYPE_CHECKING:
    from engine.ports.kube.client import KubeClient
    from engine.ports.stores.contract import Stored

Opened = Callable[[str], AbstractContextManager[Path]]
"""A stored snapshot, by its key, as a file for as long as it is needed."""

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


@click.command("list", short_help="Show the backups of a store or of the cluster.")
@click.option("--directory", type=_FOLDER, metavar="DIR", help="Look into this store; needs no cluster.")
@click.option(
    "--store", type=AddressType(), metavar="s3://BUCKET", help="Look into this store; needs no cluster."
)
@click.option("--verify", is_flag=True, help="Read every snapshot in DIR or BUCKET whole and verify it.")
@bucket_flags
@_NAMESPACE
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
@_OUTPUT
@_KUBECONFIG
def show(
    directory: Path | None,
    store: Address | None,
    verify: bool,
    access: BucketAccess,
    namespace: str | None,
    all_namespaces: bool,
    output: str,
    kubeconfig: Path | None,
) -> int:
    """Show the snapshots in a directory or a bucket, or the backups that the cluster knows.

    \b
    Examples:
      talos-operator backup list -n prod
      talos-operator backup list --directory /backups --verify
      talos-operator backup list --store s3://backups --s3-endpoint https://minio.example:9000
      AWS_PROFILE=backups talos-operator backup list --store s3://backups/talos-operator-etcd-backups/prod
    """
    if directory is not None and store is not None:
        raise CommandFailed("--directory and --store name two stores", hint="leave one out", code=MISUSED)
    if directory is not None:
        from engine.ports.stores.directory import DirectoryStore

        stored = DirectoryStore(directory).list("")
        return _show_stored(stored, partial(_in_directory, directory) if verify else None, output)
    if store is not None:
        opened = partial(_in_bucket, access, store.bucket) if verify else None
        return _show_stored(access.files(store), opened, output)
    if verify:
        hint = "add --directory DIR or --store s3://BUCKET"
        raise CommandFailed("--verify reads a store", hint=hint, code=MISUSED)
    with connected(kubeconfig) as client:
        kind = kind_with(client, "backupStorage")
        found = everything(client, kind, None if all_namespaces else namespace or client.namespace)
    if output == "json":
        click.echo(json.dumps({"items": found}, indent=2))
        return 0
    columns = [Column("Namespace", ".metadata.namespace"), *_OBJECTS] if all_namespaces else list(_OBJECTS)
    print_rows(columns, found, time.time())
    return 0


def _in_directory(directory: Path, key: str) -> AbstractContextManager[Path]:
    return nullcontext(directory / key)


def _in_bucket(access: BucketAccess, bucket: str, key: str) -> AbstractContextManager[Path]:
    return access.as_file(Address(bucket, key))


def _show_stored(files: Iterable[Stored], opened: Opened | None, output: str) -> int:
    from engine.base.timestamps import rfc3339

    rows: list[dict[str, Any]] = []
    for stored in files:
        if stored.key.endswith(_SNAPSHOT):
            at, state = rfc3339(stored.modified), {"state": "not verified"}
            found = state if opened is None else _judged(opened, stored.key)
            rows.append({"key": stored.key, "size": stored.size, "at": at} | found)
    if output == "json":
        click.echo(json.dumps({"items": rows}, indent=2))
    else:
        shown = [{**row, "shown": size_in_words(row["size"])} for row in rows]
        print_rows(list(_STORED), shown, time.time())
    return int(opened is not None and any(row["state"] != "whole" for row in rows))


def _judged(opened: Opened, key: str) -> dict[str, Any]:
    try:
        with opened(key) as path:
            facts = verified(path)
    except CommandFailed as error:
        return {"state": str(error)}
    return {"state": "whole", "sha256": facts.sha256, "revision": facts.revision}


@click.command("verify", short_help="Say whether a snapshot is whole.")
@click.argument("files", nargs=-1, required=True, type=FileOrObject())
@bucket_flags
@_OUTPUT
def verify(files: tuple[Path | Address, ...], access: BucketAccess, output: str) -> int:
    """Read snapshots whole and verify size, digest and database; exit code 1 when one is not whole. No cluster needed.

    \b
    Examples:
      talos-operator backup verify etcd-snapshot.db
      talos-operator backup verify s3://backups/talos-operator-etcd-backups/prod/etcd-snapshot-2026-11-28T02-00-00Z.db
    """
    found = []
    for source in files:
        with access.as_file(source) as path:
            facts = verified(path, str(source))
        found.append(as_json(str(source), facts))
        if output == "table":
            click.echo(f"{source}: whole, {in_words(facts)}\n  sha256 {facts.sha256}")
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
