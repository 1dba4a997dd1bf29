"""The database schema: its tables as metadata, and the migrations that make them."""
