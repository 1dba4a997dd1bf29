"""The producer: what it simulates, how it disturbs it, and that its books are right."""
