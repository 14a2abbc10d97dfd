"""`python -m bci.cli`, which is how the supervisor starts its children."""

from bci.cli import main

main()
