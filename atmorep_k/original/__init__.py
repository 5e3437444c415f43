"""Models of the original AtmoRep: reading its checkpoints into our components, and writing them."""
