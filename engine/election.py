"""Who leads: what one candidate may do about the lease, by what it saw of it and when.

Another one's lease counts from the moment at which we saw it change, on our own clock; the times written in it are
never read. That tolerates clocks that are set differently, and clocks that run differently fast by as much as the
lease is longer than the renew deadline. Pure: no clock, no I/O. Source: client-go tools/leaderelection. Neighbour:
`leader` asks the API server and does what is decided here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from engine.base.versions import is_older
from engine.ports.kube.lease import LeaseRecord

Move = Literal["create", "take", "wait", "lose"]
"""`take`: write our name under the version that we saw, be it for the first time or once more."""

_LONGEST_MARGIN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How long a lease counts, until when its holder must have renewed it, how often it tries. Seconds."""

    lease_s: float
    renew_s: float
    retry_s: float

    @property
    def margin_s(self) -> float:
        """How long before the lease ends every effect of its holder has to have ended."""
        return min(_LONGEST_MARGIN_S, (self.lease_s - self.renew_s) / 4)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of the lease. `record` None: it is not there; `since`: our clock when we saw it become so.

    `version` is the resource version seen last, also of a lease that is gone by now. `guarded_until`: until when
    one that is gone may still be believed in by its last holder.
    """

    record: LeaseRecord | None = None
    since: float = 0.0
    version: str = ""
    guarded_until: float = 0.0


def looked(
    before: Sight, record: LeaseRecord | None, version: str, now: float, terms: Terms, identity: str
) -> Sight:
    """What is known after another look."""
    if record is None:
        if before.record is None:
            return before
        other = before.record.holder not in ("", identity)
        until = _ends(before, terms) if other else 0.0
        return replace(before, record=None, since=now, guarded_until=until)
    return Sight(record, before.since if record == before.record else now, version)


def is_past(sight: Sight, version: str, *, leads: bool) -> bool:
    """Whether an answer is one out of the past, which is no reason for a leader to give up.

    Whoever does not lead takes any answer: after a restore of the API server's store versions begin anew.
    """
    return leads and is_older(version, sight.version)


def move(sight: Sight, identity: str, now: float, terms: Terms, *, leads: bool) -> Move:
    """What to do now."""
    record = sight.record
    if record is None:
        return "create" if leads or now >= sight.guarded_until else "wait"
    if record.holder in ("", identity):
        return "take"
    if leads:
        return "lose"
    return "take" if now >= _ends(sight, terms) else "wait"


def rest(sight: Sight, identity: str, now: float, terms: Terms, *, leads: bool, draw: float) -> float:
    """Seconds until the next look; `draw` from 0 to 1 keeps candidates from looking all at once.

    Somewhat less than the retry period for those who do not lead, so that what is given up is taken within one.
    """
    if leads:
        return terms.retry_s
    wait_s = terms.retry_s * (0.5 + 0.25 * draw)
    record = sight.record
    ends = sight.guarded_until if record is None else _ends(sight, terms)
    if record is not None and record.holder in ("", identity):
        return wait_s
    return min(wait_s, ends - now) if ends > now else wait_s


def _ends(sight: Sight, terms: Terms) -> float:
    """When a lease that does not change any more is free, by our clock."""
    assert sight.record is not None
    seconds = sight.record.seconds
    return sight.since + (terms.lease_s if seconds is None else seconds)
