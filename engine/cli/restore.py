"""`talos-operator restore`: bring a cluster that lost all its etcd back from a snapshot.

Verifies the snapshot, looks at every machine, shows what it would do and asks; then it sends the snapshot to one
machine and notes the restore in the object. The engine gives the order to begin, once, whatever happens to this
program: it may be ended and called again at any point. Never sends anything while a quorum lives or may live.
Neighbours: `restoring` knows the object, `capabilities.etcd_recovery` the machines.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from engine.cli.buckets import Address, BucketAccess, FileOrObject, bucket_flags
from engine.cli.failures import MISUSED, CommandFailed
from engine.cli.parameters import Duration
from engine.cli.snapshotfile import as_json, in_words, verified

if TYPE_CHECKING:
    from engine.cli.restoring import Restoring
    from engine.etcdfile.verify import SnapshotFacts

_FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
_SOURCE: Final = FileOrObject()


@click.command("restore", short_help="Bring a cluster's etcd back from a snapshot.")
@click.argument("name")
@click.option(
    "--from", "source", type=_SOURCE, metavar="FILE", help="The snapshot: a file, or s3://BUCKET/KEY."
)
@click.option("--backup", metavar="NAME", help="The snapshot, as a stored backup of the cluster.")
@click.option(
    "--backup-directory",
    type=_FOLDER,
    metavar="DIR",
    help="The operator's directory of backups, as it is seen from here.",
)
@click.option(
    "--state",
    type=_SOURCE,
    metavar="FILE",
    help="The backed-up Secret NAME-state, where that is gone: a file, or s3://BUCKET/KEY.",
)
@click.option(
    "--state-key",
    type=_FILE,
    metavar="FILE",
    help="What opens an encrypted --state: a file with age identities, or with the passphrase.",
)
@bucket_flags
@click.option(
    "--machine", metavar="ADDRESS", help="The machine that begins; by default the first that waits."
)
@click.option(
    "--attempt",
    type=click.IntRange(1),
    default=1,
    help="Another number restores the same snapshot once more.",
)
@click.option(
    "-n", "--namespace", metavar="NAMESPACE", help="Look in NAMESPACE, in place of the current one."
)
@click.option("--timeout", type=Duration(), default="15m", help="How long to wait for etcd.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer."
)
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path), metavar="FILE", help="The cluster of the operator."
)
def command(
    name: str,
    source: Path | Address | None,
    backup: str | None,
    backup_directory: Path | None,
    state: Path | Address | None,
    state_key: Path | None,
    access: BucketAccess,
    machine: str | None,
    attempt: int,
    namespace: str | None,
    timeout: float,
    yes: bool,
    dry_run: bool,
    output: str,
    kubeconfig: Path | None,
) -> int:
    """Restore etcd of the control plane NAME from a snapshot.

    All of its machines have to be configured, with an empty etcd; a machine that still has data is reset first.
    Everything that was written after the snapshot is gone.

    \b
    Examples:
      talos-operator restore quickstart --from etcd.db --dry-run
      talos-operator restore quickstart --backup nightly-1764288000
      talos-operator restore quickstart --from etcd.db --state state.yaml --yes -o json
      AWS_PROFILE=backups talos-operator restore quickstart --from s3://backups/KEY.db
    """
    from engine.cli.restoring import open_restoring
    from engine.cli.statefile import opened_state
    from engine.cli.storedbackup import brought

    _check(source, backup, state, state_key, mute=output == "json" and not (yes or dry_run))
    with ExitStack() as stack:
        title = str(source or f"the backup {backup}")
        if source is not None:
            snapshot = stack.enter_context(access.as_file(source))
        else:
            snapshot = stack.enter_context(brought(kubeconfig, namespace, str(backup), backup_directory))
        facts = verified(snapshot, title)
        restoring = stack.enter_context(open_restoring(kubeconfig, namespace, name, attempt=attempt))
        if state is not None:
            text = opened_state(stack.enter_context(access.as_file(state)), str(state), state_key)
            restoring.bring_state(text, str(state), dry=dry_run)
        if not restoring.ordered(facts.sha256):
            restoring.look(machine, members=len(facts.members))
        plan = _plan(restoring, title, facts)
        if output == "text":
            _show(restoring, title, facts)
        if dry_run:
            return _end(output, plan, "nothing was done")
        if not yes and not click.confirm("Go on?", err=True):
            raise CommandFailed("not confirmed, nothing was done")
        if not restoring.ordered(facts.sha256):
            restoring.send(snapshot, facts)
        restoring.wait(facts.sha256, timeout, lambda text: click.echo(text, err=True))
        return _end(output, {**plan, "restored": True}, "restored: etcd runs with the snapshot")


def _check(
    source: Path | Address | None,
    backup: str | None,
    state: Path | Address | None,
    state_key: Path | None,
    *,
    mute: bool,
) -> None:
    """Raises CommandFailed for flags that do not belong together. `mute`: it would have to ask and cannot."""
    if mute:
        hint = "add --yes, or --dry-run to see the plan"
        raise CommandFailed("-o json does not ask", hint=hint, code=MISUSED)
    if (source is None) == (backup is None):
        hint = "--from FILE, --from s3://BUCKET/KEY or --backup NAME"
        raise CommandFailed("one snapshot is needed", hint=hint, code=MISUSED)
    if state_key is not None and state is None:
        raise CommandFailed("--state-key opens what --state names", hint="add --state FILE", code=MISUSED)


def _plan(restoring: Restoring, title: str, facts: SnapshotFacts) -> dict[str, Any]:
    return {
        "object": restoring.title,
        "snapshot": as_json(title, facts),
        "machine": restoring.machine,
        "others": restoring.others,
        "orderedBefore": restoring.ordered(facts.sha256),
        "restored": False,
    }


def _show(restoring: Restoring, title: str, facts: SnapshotFacts) -> None:
    click.echo(f"{restoring.title} from {title}: {in_words(facts)}")
    click.echo(f"  sha256 {facts.sha256}")
    if restoring.ordered(facts.sha256):
        click.echo("  The order to begin was given before. It is not given again; this only waits for etcd.")
        return
    others = ", ".join(restoring.others)
    click.echo(f"  1. The snapshot is sent to {restoring.machine}.")
    click.echo(
        f"  2. etcd of {restoring.machine} begins with it, once" + (f"; {others} join." if others else ".")
    )
    click.echo("  Everything that was written after the snapshot is gone.")


def _end(output: str, plan: dict[str, Any], text: str) -> int:
    click.echo(json.dumps(plan, indent=2) if output == "json" else text)
    return 0
