"""Upkeep: what keeps the tables from growing for ever. Nothing here makes or changes an event."""
