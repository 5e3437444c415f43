"""The fence: the only files that use private names of the libraries below us, one file for each.

Those libraries promise none of this, so each name is used in one function that says why
nothing public serves, and `tests/atmorep_k/backend/test_internals.py` says which assumption broke
when a new version breaks one. The bounds in pyproject.toml are the versions it passed with.

`tests/test_fence.py` fails where another file uses a private name. Hooks that Keras calls, which
a subclass must override under their own names, are listed in `optimizers.HOOKS`.
"""
