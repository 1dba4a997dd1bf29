"""Proof that what is stored is what was sent: reconciliation. Reads only."""
