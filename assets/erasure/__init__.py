"""Erasure: a user's events, dead letters and traces go, and stay away."""
