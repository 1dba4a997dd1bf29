"""Grafana's dashboards as code: `python -m monitoring.grafana` writes `dashboards/*.json`, which Grafana provisions.

What belongs here: what is drawn, and how. `boards` has the dashboards, `sql` their queries of PostgreSQL; `panels`,
`queries`, `colours`, `links`, `variables` and `layout` are what they are put together from. What does not: numbers;
rates and ratios that alerts stand on as well are recorded by Prometheus (`monitoring/prometheus/rules`).

It needs the development dependencies (grafana-foundation-sdk); Grafana needs only the JSON files, which are checked in.
"""
