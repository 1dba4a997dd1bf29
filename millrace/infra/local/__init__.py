"""The embedded services: what they are, how they start, and how they are watched."""
