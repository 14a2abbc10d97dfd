"""`python -m bci.cli`: the command line without the script `bci`."""

from bci.cli import main

main()
