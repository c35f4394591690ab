"""`python -m opencode_a2a_server.app.cli`."""

from . import main

main()
