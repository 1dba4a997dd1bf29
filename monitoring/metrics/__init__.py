"""What is exported to Prometheus: which metrics there are, the totals behind the counters, and the pushing."""
