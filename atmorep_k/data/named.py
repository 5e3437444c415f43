"""Stores that are known by a name: the embedded demo, made when it is first used."""

from atmorep_k._version import __version__
from atmorep_k.console import bar
from atmorep_k.data.stores.address import Location, location
from atmorep_k.files import user_cache

DEMO = "demo"


def store_path(store: str) -> Location:
    """Returns the path or address of a store; `"demo"` is the embedded one, made if need be.

    It is kept in the user's cache (`atmorep_k.files.user_cache`), one for each version of this
    package.

    Raises:
        UserError: if the cache cannot be written.
    """
    if store != DEMO:
        return location(store)
    from atmorep_k.data.demo.simulate import DAYS, demo_store

    path = user_cache() / f"demo-{DAYS}-days-{__version__}.zarr"
    if not path.exists():
        with bar("simulating the demo atmosphere", "h/s") as shown:
            shown.say(f"simulating the demo data, once: {path}")
            demo_store(path, progress=lambda done: shown.advance(done, 24 * DAYS))
    return path
