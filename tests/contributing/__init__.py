"""CONTRIBUTING.md, followed word for word."""
