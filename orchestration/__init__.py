"""Settings, definitions, Dagster's processes, the command line. The only package that reads the environment."""
