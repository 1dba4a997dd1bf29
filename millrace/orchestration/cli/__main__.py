"""`python -m millrace.orchestration.cli`: the command, where its script is not on the PATH."""

from millrace.orchestration.cli import main

main()
