"""`talos-operator run`: flags into Settings, then the engine.

Never starts anything itself. Neighbours: `settings` checks, `app` runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from engine.cli.parameters import Address, Duration, option
from engine.settings import BindAddress, LeaderElection, Settings

_FILE: Final = click.Path(path_type=Path)
_IN_CLUSTER: Final = (":8443", ":8081")
_ELECTION: Final = LeaderElection()
_STANDALONE: Final = ("127.0.0.1:8080", "127.0.0.1:8081")


@click.command("run", short_help="Run the engine, against a cluster or on its own.")
@option(
    "--kubeconfig", type=_FILE, metavar="FILE", help="The cluster to work on, in place of the current one."
)
@option(
    "--standalone", type=_FILE, metavar="DIR", help="Serve an embedded API from DIR; writes DIR/kubeconfig."
)
@option("--simulate", type=int, default=0, metavar="N", help="Start N simulated machines, 127.0.1.1 and on.")
@option("--apply", type=_FILE, multiple=True, metavar="FILE", help="Apply FILE at the start. Repeatable.")
@option(
    "--until-ready",
    type=Duration(),
    metavar="TIMEOUT",
    help="End with 0 when everything applied is Ready, with 1 and the reasons after TIMEOUT.",
)
@option(
    "--rules",
    type=_FILE,
    multiple=True,
    metavar="DIR",
    help="Rules in place of the shipped ones. Repeatable.",
)
@option(
    "--metrics-bind-address",
    type=Address(),
    metavar="ADDR",
    help="Where /metrics is served; 0 for nowhere. Default :8443, standalone 127.0.0.1:8080.",
)
@option(
    "--metrics-secure",
    type=bool,
    is_flag=False,
    flag_value="true",
    metavar="BOOL",
    help="Serve /metrics over TLS to authorized readers. Default true, standalone false.",
)
@option(
    "--metrics-cert-dir",
    type=_FILE,
    metavar="DIR",
    help="tls.crt and tls.key for /metrics, read again when they change. Default: a certificate of its own.",
)
@option(
    "--metrics-client-ca-file",
    type=_FILE,
    metavar="FILE",
    help="Authorities, PEM: their client certificates may take the place of a token at /metrics.",
)
@option(
    "--health-probe-bind-address",
    type=Address(),
    metavar="ADDR",
    help="Where /healthz and /readyz are served; 0 for nowhere. Default :8081, standalone 127.0.0.1:8081.",
)
@option(
    "--enable-meta-key",
    type=bool,
    is_flag=False,
    flag_value="true",
    default=False,
    metavar="BOOL",
    older="ENABLE_META_KEY",
    help="Write machineSpec.meta to the machines' META partitions, key 0x0a.",
)
@option(
    "--backup-directory",
    type=_FILE,
    metavar="DIR",
    help="Where etcd backups that ask for a directory are kept, such as a mounted volume.",
)
@option(
    "--leader-elect",
    type=bool,
    is_flag=False,
    flag_value="true",
    default=False,
    metavar="BOOL",
    help="Work only while holding a lease, so that several engines may run and one works.",
)
@option(
    "--leader-elect-lease-duration",
    type=Duration(),
    default=_ELECTION.lease_s,
    metavar="DURATION",
    help="How long others wait for a leader that is silent. Default 15s.",
)
@option(
    "--leader-elect-renew-deadline",
    type=Duration(),
    default=_ELECTION.renew_s,
    metavar="DURATION",
    help="A leader that could not renew its lease for so long ends. Default 10s.",
)
@option(
    "--leader-elect-retry-period",
    type=Duration(),
    default=_ELECTION.retry_s,
    metavar="DURATION",
    help="How often a leader renews its lease, and how long others wait at most to look again. Default 2s.",
)
@option(
    "--leader-election-id",
    default=_ELECTION.name,
    show_default=True,
    metavar="NAME",
    help="Name of the lease.",
)
@option(
    "--leader-election-namespace",
    metavar="NAMESPACE",
    help="Where the lease is. Default: the pod's namespace, or that of the kubeconfig's context.",
)
@option("--workers", type=int, default=Settings().workers, show_default=True, help="Passes at the same time.")
@option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of logs.",
)
def command(**flags: Any) -> int:
    """Reconcile and measure every kind that the rules name, until Ctrl-C.

    Works on the cluster of the current kubeconfig, or on the one it runs in. With --standalone no cluster
    is needed: an embedded API keeps the objects in DIR, and kubectl works with DIR/kubeconfig.

    \b
    Examples:
      talos-operator run
      talos-operator run --standalone demo --simulate 5 --apply examples/quickstart.yaml
      talos-operator run --standalone prod --apply cluster.yaml          real machines, no cluster
      talos-operator run --standalone ci --simulate 5 --apply cluster.yaml --until-ready 60s
      talos-operator run --rules my-rules --log-format json
      talos-operator run --leader-elect                                  beside others, one of which works
    """
    settings = settings_from(flags)
    settings.check()
    from engine.app import run

    return run(settings)


def settings_from(flags: dict[str, Any]) -> Settings:
    """Settings from the parsed flags, with the defaults that depend on where the engine runs."""
    alone = flags["standalone"] is not None
    metrics, health = _STANDALONE if alone else _IN_CLUSTER
    secure = flags["metrics_secure"]
    return Settings(
        kubeconfig=flags["kubeconfig"],
        standalone=flags["standalone"],
        simulate=flags["simulate"],
        apply=tuple(flags["apply"]),
        until_ready_s=flags["until_ready"],
        rules=tuple(flags["rules"]),
        metrics_bind_address=_address(flags["metrics_bind_address"], metrics),
        metrics_secure=not alone if secure is None else secure,
        metrics_cert_dir=flags["metrics_cert_dir"],
        metrics_client_ca_file=flags["metrics_client_ca_file"],
        health_probe_bind_address=_address(flags["health_probe_bind_address"], health),
        meta_key=flags["enable_meta_key"],
        backup_directory=flags["backup_directory"],
        leader_election=_election(flags) if flags["leader_elect"] else None,
        workers=flags["workers"],
        log_format=flags["log_format"],
    )


def _election(flags: dict[str, Any]) -> LeaderElection:
    return LeaderElection(
        name=flags["leader_election_id"],
        namespace=flags["leader_election_namespace"],
        lease_s=flags["leader_elect_lease_duration"],
        renew_s=flags["leader_elect_renew_deadline"],
        retry_s=flags["leader_elect_retry_period"],
    )


def _address(given: BindAddress | str | None, default: str) -> BindAddress | None:
    if given is None:
        return BindAddress.parse(default)
    return given if isinstance(given, BindAddress) else None
