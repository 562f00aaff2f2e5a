"""Carry out a plan: the only part that changes anything outside this process.

`perform` is the entry; `kube` writes API objects, `once` keeps the write-ahead record of what must
happen once, `lanes` keeps disruptive effects apart, `send` calls nodes and capabilities.
"""

from engine.act.perform import Actor

__all__ = ["Actor"]
