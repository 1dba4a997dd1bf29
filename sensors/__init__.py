"""When something runs: a pure decision and a thin shell for each sensor. No work on events."""
