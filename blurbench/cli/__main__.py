"""`python -m blurbench.cli`."""

from blurbench.cli import main

main()
