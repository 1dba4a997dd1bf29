"""Metrics (counting and pushing), Prometheus (scraping, rules), Alertmanager (routes), Grafana (dashboards).

What belongs here: what shows how Millrace does, and what raises alerts. What does not: anything that an event passes
through. The code of the dashboards (`grafana`) is not part of the installed package; the rest is.
"""
