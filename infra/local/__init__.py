"""The embedded services: what they are, how they start, and how they are watched.

What belongs here: everything of `millrace up` that knows nothing of Dagster. From the bottom up: `services` (what a
service is), `binaries`, `run_as_user`, `files`, `ports`, `processes`; `postgres`, `redis`, `kafka`, `jars`, put
together in `embedded`; then two ways to run them: `harness` (for tests, without a supervisor) and `stack` (supervised,
with `plan`, `state`, `supervisor`, `remote`, `sequence`, `migration`), and `observe`, `preflight` and `doctor`, which
look. What does not: Dagster's programs, which are handed in as a `plan.Application`, and printing.
"""
