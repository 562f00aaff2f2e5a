"""What a capability is: a named ability that a rule may call.

A capability is one file of this folder that sets `CAPABILITY`. Its schemas feed the load
check of the rules and the check of every call; its effect class decides where a rule may
call it. Importing the file must be cheap: what is heavy is imported inside `run`, so that
`talos-operator validate` stays fast. Neighbours: `registry` finds the files, `observe` and
`act` call them.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from engine.capabilities.identities import Identities
    from engine.ports.kube.client import KubeClient
    from engine.ports.kube.clusters import Clusters
    from engine.ports.talos.client import TalosClient

Effect = Literal["pure", "read", "write", "disruptive", "irreversible"]

Schema = Mapping[str, Any]
"""A JSON schema (draft 2020-12). The keyword `x-opaque: true` marks a secret (an Opaque)."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a capability may reach: nodes, our own cluster, other clusters.

    `now` is the pass's time, seconds since the epoch.
    """

    talos: TalosClient
    kube: KubeClient
    identities: Identities
    clusters: Clusters
    now: float
    namespace: str
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """One ability.

    `run` is for effect `pure`: an ordinary function of its input and of the pass's time,
    called under the CPU lock. `start` is for every other effect: a
    coroutine run in the loop, which must not compute for long. `work` is for what takes minutes: an
    ordinary function run as a job, in a thread of its own beside the passes; it ends soon, by raising,
    after the event it is given is set. All raise RemoteError or CapabilityError; what they return must match `output`. A text `told` in what one that writes returns
    says for people what came of it, in the event of its step. `memo` keeps results of a pure
    capability by its input. `random` marks one that makes keys: it may stand in `make` only.
    """

    name: str
    summary: str
    effect: Effect
    input: Schema
    output: Schema
    deadline_s: float = 10.0
    run: Callable[[Mapping[str, Any], float], Any] | None = None
    start: Callable[[Ports, Mapping[str, Any]], Awaitable[Any]] | None = None
    work: Callable[[Ports, Mapping[str, Any], threading.Event], Any] | None = None
    memo: bool = False
    random: bool = False
    dry_runs: bool = False
    """Whether it may be started in a dry run: with `ports.dry_run` it only tells what it would do."""
    talos_methods: tuple[str, ...] = field(default=())
    """`package.Service/Method` of every Talos call it makes, for metrics that start at 0."""
