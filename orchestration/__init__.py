"""How it all runs: settings, definitions, the engine and the command line. The only room that reads the environment."""
