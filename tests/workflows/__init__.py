"""Tests of what runs outside of the package: workflows, and the scripts of a deployment."""
