"""The configuration of one machine: generated, patched, checked.

Promises: the result loads and passes `validate`; a mistake in what the user gave comes back as a
value that names the patch, never as an exception. Never installs, sends or stores anything.
Neighbours: `generate` (the base), `machinespec` (the patches), `validate`, `redact`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

from engine.machineconfig import lifeline, machinespec
from engine.machineconfig.cluster import Cluster, load_cluster
from engine.machineconfig.config import (
    Config,
    decode_document,
    load,
    load_plain,
    of_documents,
)
from engine.machineconfig.contracts import older
from engine.machineconfig.emit import write_documents
from engine.machineconfig.errors import ConfigError
from engine.machineconfig.generate import Role, base_config, check_endpoint
from engine.machineconfig.installdisk import selects_disk
from engine.machineconfig.nodes import from_value
from engine.machineconfig.patch import apply, load_patch, patch_of
from engine.machineconfig.redact import redacted, redacted_plain
from engine.machineconfig.secretsbundle import parse
from engine.machineconfig.validate import validate


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in what the user gave. `patch` is the field (`configPatches[1]`), "" for none of them."""

    patch: str
    path: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A configuration text, its digest over the parsed documents, and its form without secrets."""

    text: str = field(repr=False)
    redacted: str
    digest: str


def render(
    *,
    role: Role,
    cluster_text: str,
    bundle_text: str,
    machine: Mapping[str, Any],
    disk: str = "",
    version: str = "",
    installed: bool = False,
) -> Rendered | Fault:
    """Render one machine. `machine` is its MachineSpec, `version` its own Talos version if it has one.

    The contract is the older one of the cluster's and the machine's version. `installed`: it runs from
    its disk, which need not be named and then stays.
    """
    try:
        cluster = load_cluster(cluster_text)
        check_endpoint(cluster.endpoint)
        contract = older(cluster.version, version)
    except ConfigError as error:
        return Fault("", error.path, error.reason, error.message)
    version = version or cluster.version
    cluster = replace(cluster, version=contract)
    config = assembled(cluster, bundle_text, role, steps_of(machine, disk, version, installed=installed))
    if disk and not machine.get("installDisk") and not isinstance(config, Fault) and selects_disk(config):
        # The user's own way to choose one; a disk that was merely found must not stand beside it.
        config = assembled(cluster, bundle_text, role, steps_of(machine, "", version, installed=True))
    if isinstance(config, Fault):
        return config
    return _checked(config, version, install=bool(machine.get("installDisk") or disk))


Step: TypeAlias = tuple[str, Callable[[Config], Config]]
"""(the field or file that asks for it, what it does to the configuration)."""


def steps_of(
    machine: Mapping[str, Any], disk: str, version: str, *, installed: bool = False
) -> Iterator[Step]:
    """What a MachineSpec asks for: its patches, then the documents that it adds."""
    for where, patch in machinespec.patches(machine, disk, version, installed=installed):
        yield where, partial(_patched, value=patch)
    for where, document in machinespec.documents(machine):
        yield where, partial(_extended, document=document)


def steps_of_files(files: Iterable[tuple[str, str]]) -> Iterator[Step]:
    """Patches as (name, text)."""
    for name, text in files:
        yield name, partial(_patched_by_text, text=text)


def assembled(cluster: Cluster, bundle_text: str, role: Role, steps: Iterable[Step]) -> Config | Fault:
    """The generated configuration after all steps, or the first mistake with the step that made it."""
    where, before = "", []
    try:
        base = config = base_config(cluster, bundle_text, role)
        for where, step in steps:
            before.append((where, config))
            config = step(config)
    except ConfigError as error:
        return Fault(where, error.path, error.reason, error.message)
    found = lifeline.first_cut(base, config, before)
    return Fault(found[0], found[1].path, "LockedOut", found[1].message) if found else config


def _patched(config: Config, value: Any) -> Config:
    return apply(config, patch_of(value, ahead=config.ahead))


def _patched_by_text(config: Config, text: str) -> Config:
    return apply(config, load_patch(text, ahead=config.ahead))


def _extended(config: Config, document: Any) -> Config:
    return of_documents([*config.documents, decode_document(from_value(document), ahead=config.ahead)])


def _checked(config: Config, version: str, *, install: bool) -> Rendered | Fault:
    # Without a disk the configuration is a base that machines fill in, not one to install from.
    verdict = validate(config, mode="metal" if install else "cloud", version=version)
    if verdict.errors:
        first = verdict.errors[0]
        message = "; ".join(str(problem) for problem in verdict.errors)
        return Fault("", first.path, "Invalid", message)
    return Rendered(config.text(), redacted(config), digest(config.plain()))


def whole(text: str, *, role: Role, bundle_text: str) -> Rendered | Fault:
    """A configuration that the user wrote: taken as it is, trimmed.

    Refused is what is no YAML at all, and what is of another role or of another cluster's authority, since
    nobody would reach the machine again. A configuration newer than our model is the node's to judge.
    """
    trimmed = text.strip()
    try:
        plain = load_plain(trimmed)
    except ConfigError as error:
        return Fault("", error.path, error.reason, str(error))
    if not plain or not all(isinstance(document, Mapping) for document in plain):
        return Fault("", "", "Syntax", "the text holds no configuration document")
    try:
        problem = lifeline.foreign(plain, role, parse(bundle_text).os.crt)
    except ConfigError as error:
        return Fault("", error.path, error.reason, error.message)
    if problem is not None:
        return Fault("", problem.path, "LockedOut", problem.message)
    try:
        config = load(trimmed)
    except ConfigError:
        return Rendered(trimmed, write_documents(redacted_plain(plain)), digest(plain))
    return Rendered(trimmed, redacted(config), digest(config.plain()))


def digest(documents: list[Any]) -> str:
    """Thirty-two hex digits over parsed documents; neither the order of documents nor of keys matters."""
    canonical = sorted(json.dumps(document, sort_keys=True) for document in documents)
    return hashlib.blake2b("\n".join(canonical).encode(), digest_size=16).hexdigest()
