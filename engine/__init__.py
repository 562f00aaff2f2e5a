"""Talos Operator: runs Talos Linux clusters from Kubernetes resources by rules written in YAML."""

__version__ = "0.1.0"
