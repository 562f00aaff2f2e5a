"""Send one effect to a node or run one capability, and wait for its answer with a deadline.

An irreversible effect gets a connection of its own, so that "not sent" is known exactly. An answer
that the rule lists under `alreadyDone` counts as success. In a dry run only a capability that has a
dry run of its own is started. Never decides and never retries.
Neighbours: `perform` calls it; `nodes` and the capabilities do the talking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from engine.act.jobs import Work
from engine.base.errors import CapabilityError, OutcomeUnknown, RemoteError
from engine.base.model import CapabilityCall, Outcome, OutcomeStatus, PlannedStep, TalosCall
from engine.base.values import Value
from engine.capabilities.contract import Capability, Ports
from engine.capabilities.inputs import check_input
from engine.nodes import Nodes
from engine.ruleset.model import Rule, Step

TALOS_DEADLINE_S = 30.0
_HOP_SLACK_S = 5.0

Run = Callable[..., Any]


class Sender:
    """Sends effects through the loop of the Talos client."""

    def __init__(self, nodes: Nodes, capabilities: Mapping[str, Capability], run: Run) -> None:
        self._nodes = nodes
        self._capabilities = capabilities
        self._run = run

    def send(self, rule: Rule, step: PlannedStep, ports: Ports, *, dry: bool) -> Outcome:
        """Carry out a TalosCall or CapabilityCall; raises RemoteError."""
        declared = _declared(rule, step.id)
        try:
            result = self._result(step, ports, declared.deadline_s, dry=dry)
        except RemoteError as error:
            if error.code not in declared.already_done:
                raise
            return Outcome(
                id=step.id, item=step.item, status="sent", message=f"was done already: {error.message}"
            )
        status: OutcomeStatus = "would" if dry else "sent"
        return Outcome(
            id=step.id, item=step.item, status=status, message=_told(step.why, result), result=result
        )

    def work(self, step: PlannedStep, ports: Ports) -> Work:
        """What the job of a step has to run; raises CapabilityError when its input is not what it takes."""
        effect = step.effect
        if not isinstance(effect, CapabilityCall):
            raise TypeError(f"step {step.id} is no job")
        capability = self._capabilities[effect.name]
        run = capability.work
        if run is None:
            raise CapabilityError(f"{capability.name} has nothing to run beside the passes", sent="no")
        check_input(capability, effect.input)
        return lambda stop: run(ports, effect.input, stop)

    def make(self, call: CapabilityCall, ports: Ports) -> Mapping[str, Value]:
        """The result of a `make`; raises RemoteError."""
        capability = self._capabilities[call.name]
        made: Mapping[str, Value] = self._capability(capability, call, ports, None)
        return made

    def _result(self, step: PlannedStep, ports: Ports, longest_s: float | None, *, dry: bool) -> Any:
        effect = step.effect
        if isinstance(effect, CapabilityCall):
            capability = self._capabilities[effect.name]
            if dry and not capability.dry_runs:
                return None
            return self._capability(capability, effect, replace(ports, dry_run=dry), longest_s)
        if not isinstance(effect, TalosCall):
            raise TypeError(f"step {step.id} is not for a node")
        if dry:
            return None
        deadline_s = longest_s or TALOS_DEADLINE_S
        call = self._nodes.send(
            effect.address,
            effect.identity,
            effect.method,
            effect.request,
            ports.now,
            deadline_s=deadline_s,
            exclusive=step.irreversible or step.once is not None,
        )
        return self._run(call, timeout_s=deadline_s + _HOP_SLACK_S)

    def _capability(
        self, capability: Capability, call: CapabilityCall, ports: Ports, longest_s: float | None
    ) -> Any:
        check_input(capability, call.input)
        if capability.run is not None:
            return capability.run(call.input, ports.now)
        if capability.start is None:
            raise CapabilityError(f"{capability.name} has nothing to run", sent="no")
        deadline_s = longest_s or capability.deadline_s
        work = _bounded(capability.start(ports, call.input), capability.name, deadline_s)
        return self._run(work, timeout_s=deadline_s + _HOP_SLACK_S)


async def _bounded(work: Coroutine[Any, Any, Any] | Any, name: str, deadline_s: float) -> Any:
    try:
        async with asyncio.timeout(deadline_s):
            return await work
    except TimeoutError:
        message = f"not ended within {deadline_s:g} s; it may have been carried out"
        raise OutcomeUnknown(message, operation=name) from None


def _told(why: str, result: Any) -> str:
    """Why it was done and, of a capability that says so, what came of it."""
    told = result.get("told") if isinstance(result, Mapping) else None
    return ": ".join(part for part in (why, told) if part)


def _declared(rule: Rule, step_id: str) -> Step:
    steps = (*rule.act, *(rule.finalize.steps if rule.finalize else ()))
    return next(step for step in steps if step.id == step_id)
