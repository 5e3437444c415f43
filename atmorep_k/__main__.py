"""`python -m atmorep_k`: the command line, as `atmorep-k`."""

from atmorep_k.cli import main

if __name__ == "__main__":
    main(prog_name="atmorep-k")
