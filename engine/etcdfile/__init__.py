"""Snapshots of etcd as files: a bbolt database with a SHA-256 behind it.

`layout` has the bytes of the pages both ways, `read` finds buckets and keys, `verify` says whether a snapshot is
whole. Pure but for reading the file it is given. Neighbours: the simulator writes such files, the command line
and the capability that restores check them.
"""
