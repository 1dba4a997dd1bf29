"""Sessions with PostgreSQL: what they inherit, and what becomes of them when the server ends them."""
