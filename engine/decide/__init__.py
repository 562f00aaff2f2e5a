"""Decide what one pass changes: rule x snapshot -> Plan. Pure: no clock, no I/O, no randomness.

`plan` is the entry; `steps` decides one step, `children` and `rollout` the two nouns that stand
for many objects, `finalize` the orderly end of an object, `manifest` what is to be written.
"""

from engine.decide.plan import decide

__all__ = ["decide"]
