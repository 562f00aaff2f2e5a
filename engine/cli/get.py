"""`talos-operator get`: objects of the managed kinds, with their columns and conditions.

Reads only. What a kind is called and how it is shown comes from its CustomResourceDefinition, the cluster's
or the shipped one; no kind is known here by name. Neighbours: `ports.kube`, `columns`, `text`.
"""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from engine.base.errors import Denied, Missing, Unreachable
from engine.base.kinds import Key, Kind
from engine.cli.columns import Column, columns_of
from engine.cli.failures import MISUSED, CommandFailed
from engine.cli.text import table

if TYPE_CHECKING:
    from engine.ports.kube.client import KubeClient

_CONDITIONS: Final = (
    Column("Condition", ".type"),
    Column("Status", ".status"),
    Column("Reason", ".reason"),
    Column("Age", ".lastTransitionTime", "date"),
    Column("Message", ".message"),
)


@click.command("get", short_help="Show objects with their state and conditions.")
@click.argument("kind")
@click.argument("name", required=False)
@click.option(
    "-n", "--namespace", metavar="NAMESPACE", help="Look in NAMESPACE, in place of the current one."
)
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    help="Form of the answer.",
)
@click.option("--kubeconfig", type=click.Path(path_type=Path), metavar="FILE", help="The cluster to look at.")
def command(
    kind: str,
    name: str | None,
    namespace: str | None,
    all_namespaces: bool,
    output: str,
    kubeconfig: Path | None,
) -> int:
    """Show the objects of KIND, or the one called NAME with all its conditions.

    KIND is the name, the plural or the short name of a kind, as kubectl takes it.

    \b
    Examples:
      talos-operator get talosclusters
      talos-operator get tm -A
      talos-operator get tcp quickstart --kubeconfig .run/kubeconfig
      talos-operator get tm -o json | jq '.items[].status.state'
    """
    definition, found, things = _read(kubeconfig, kind, name, namespace, everywhere=all_namespaces)
    if output != "table":
        whole = {"apiVersion": "v1", "kind": "List", "items": things} if name is None else things[0]
        click.echo(_as_text(whole, output), nl=False)
        return 0
    columns = [Column("Name", ".metadata.name"), *columns_of(definition, found.version)]
    if all_namespaces:
        columns.insert(0, Column("Namespace", ".metadata.namespace"))
    _show(things, columns, found, details=name is not None)
    return 0


def _read(
    kubeconfig: Path | None, word: str, name: str | None, namespace: str | None, *, everywhere: bool
) -> tuple[Mapping[str, Any], Kind, list[dict[str, Any]]]:
    """The definition and kind that `word` means, and its objects or the one called `name`."""
    from engine.ports.kube.access import open_access
    from engine.ports.kube.client import KubeClient

    access = open_access(kubeconfig)
    client = KubeClient(access)
    try:
        definition = _definition(client, word)
        kind = kind_of(definition)
        place = None if everywhere or not kind.namespaced else namespace or client.namespace
        if name is None:
            return definition, kind, everything(client, kind, place)
        return definition, kind, [client.get(Key(kind, place or "", name))]
    except Unreachable as error:
        hint = "is it running? --kubeconfig FILE chooses another cluster"
        raise CommandFailed(error.message, where=f"at {access.server}", hint=hint) from error
    finally:
        client.close()


def everything(client: KubeClient, kind: Kind, namespace: str | None) -> list[dict[str, Any]]:
    """All objects of a kind, in one namespace or in all of them."""
    things: list[dict[str, Any]] = []
    for page in client.list_pages(kind, namespace):
        if page.first:
            things.clear()
        things.extend({"apiVersion": kind.api_version, "kind": kind.name, **item} for item in page.items)
    return things


def _definition(client: KubeClient, word: str) -> Mapping[str, Any]:
    known: dict[str, Mapping[str, Any]] = {}
    for definition in definitions(client):
        names = definition["spec"]["names"]
        words = (
            names["kind"].lower(),
            names["plural"],
            names.get("singular", ""),
            *names.get("shortNames", ()),
        )
        known.update((each, definition) for each in words if each)
    if word.lower() in known:
        return known[word.lower()]
    near = difflib.get_close_matches(word.lower(), known, n=1)
    hint = (
        f"did you mean {near[0]}?"
        if near
        else "known are " + ", ".join(sorted({_plural(d) for d in known.values()}))
    )
    raise CommandFailed(f"no kind is called {word!r}", hint=hint, code=MISUSED)


def definitions(client: KubeClient) -> Iterable[Mapping[str, Any]]:
    """What the cluster defines; the shipped definitions where it does not say."""
    try:
        kind = client.kind_named("apiextensions.k8s.io/v1", "CustomResourceDefinition")
        defined = everything(client, kind, None)
    except (Missing, Denied):
        defined = []
    return defined or _shipped()


def _shipped() -> list[Mapping[str, Any]]:
    from engine.base.assets import asset
    from engine.base.yamlnodes import parse_document, plain

    return [
        plain(parse_document(path.read_text("utf-8"), path.name))
        for path in asset("schemas", "crds").glob("*.yaml")
    ]


def _plural(definition: Mapping[str, Any]) -> str:
    return str(definition["spec"]["names"]["plural"])


def kind_of(definition: Mapping[str, Any]) -> Kind:
    """The kind, in the version that is stored, that a CustomResourceDefinition defines."""
    spec = definition["spec"]
    version = next(version["name"] for version in spec["versions"] if version["storage"])
    return Kind(
        spec["group"], version, spec["names"]["kind"], _plural(definition), spec["scope"] == "Namespaced"
    )


def spec_fields(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of each field below `spec`, by name."""
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields: Mapping[str, Any] = schema.get("properties", {}).get("spec", {}).get("properties", {})
    return fields


def _show(
    things: Sequence[Mapping[str, Any]], columns: Sequence[Column], kind: Kind, *, details: bool
) -> None:
    if not things:
        click.echo(f"no {kind.plural} found", err=True)
        return
    now = time.time()
    print_rows(columns, things, now)
    if details:
        click.echo()
        print_rows(_CONDITIONS, things[0].get("status", {}).get("conditions", []), now)


def print_rows(columns: Sequence[Column], things: Sequence[Mapping[str, Any]], now: float) -> None:
    """A table with a row a thing; `now` is for ages."""
    rows = [[column.text(thing, now) for column in columns] for thing in things]
    for line in table([column.name for column in columns], rows):
        click.echo(line)


def _as_text(whole: Mapping[str, Any], output: str) -> str:
    if output == "json":
        return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    from engine.base.yamltext import dump

    return dump(whole)
