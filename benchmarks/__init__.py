"""Benchmarks against the limits of the machine they run on: ratios in one run, not figures to compare across machines.

What belongs here: measuring and printing. What does not: thresholds; `make test` never asserts speed.
"""
