"""``python -m paramscope``."""

from paramscope.cli.main import main

main()
