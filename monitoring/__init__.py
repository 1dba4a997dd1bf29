"""What watches Millrace: Prometheus (scraping, rules), Alertmanager (routes), Grafana (dashboards).

What belongs here: configuration, and the code that writes it. What does not: anything that Millrace needs to run;
nothing under `millrace` imports from here.
"""
