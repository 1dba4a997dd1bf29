"""Where the values of the gauges and counters come from: a module a group of the Pushgateway."""
