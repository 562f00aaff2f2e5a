"""The Kubernetes API: one client for any server that speaks it, a cluster's or our embedded one.

`client` is what others call. `access` reads configuration and credentials, `transport` sends one
request, `failures` turns answers into typed errors, `stream` reads a watch, `discovery` names
kinds, `events` writes events beside the passes. pykube-ng and requests are imported here alone.
"""
