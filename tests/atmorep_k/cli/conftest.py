"""Commands are thin: what they call is tested on every backend beside them."""

from told_once import skip_on_other_backends


def pytest_collection_modifyitems(items):
    """Tests of commands run once, with JAX."""
    skip_on_other_backends(items, __file__, "commands know no backend")
