"""What a store on disk is: layout, address, kinds, statistics."""

from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.layout import Layout, StoreDescription
from atmorep_k.data.stores.packing import Packing

__all__ = ["Layout", "Packing", "Store", "StoreDescription"]
