"""Python imports this at its start, in every process with tests/support on its path."""

import without_tensorflow  # noqa: F401
