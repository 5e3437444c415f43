"""The command line. Files of commands import only click, and what a command needs when it runs."""

from atmorep_k.cli.commands import main

__all__ = ["main"]
