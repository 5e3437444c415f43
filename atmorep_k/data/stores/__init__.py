"""What a store on disk is: layout, address, kinds, statistics."""
