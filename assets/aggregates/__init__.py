"""The aggregates: tables that analysts read, kept exact from raw.events. One `.sql` and a few lines each."""
