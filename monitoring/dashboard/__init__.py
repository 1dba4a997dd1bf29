"""Grafana's dashboards in the browser without Grafana: `millrace dashboard` draws the same panels from the same files.

What belongs here: reading `grafana/dashboards/*.json`, asking what their panels ask, and drawing the answers with
NiceGUI and ECharts. What does not: which panels there are and what they ask (`monitoring.grafana`), and who may open
the pages (`orchestration.dagster_runtime.web_rules`).

NiceGUI is imported by `page`, `cards` and `server` alone: it comes with `pip install 'millrace[dashboard]'`.
"""
