"""A model on windows of the validation period."""
