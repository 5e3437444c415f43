"""A model, a dataset and a masking become a saved, scored model."""
