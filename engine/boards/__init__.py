"""Dashboards and alert rules, made from their sources and checked against the metrics that rules declare.

A tool for whoever changes them (`make dashboards`, `make custom-dashboard`); the engine never imports it.
Neighbours: `known` (the metrics there are), `promql` and `check` (queries), `sources` and `custommetrics`
(what people write), `grafana` and `alerts` (what Grafana and Prometheus read).
"""
