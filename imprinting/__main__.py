"""Makes `python -m imprinting` the command `imprinting`."""

from imprinting.commands import main

main.main()
