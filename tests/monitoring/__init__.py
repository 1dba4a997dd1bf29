"""Rules, routes and runbook: what on-call is told, and what to do then."""
