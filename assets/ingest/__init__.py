"""From a plan of Kafka ranges to committed rows: pull, decode, claim, store, ledger."""
