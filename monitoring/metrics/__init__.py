"""What Prometheus is told: which metrics there are, the totals behind the counters, and the pushing."""
