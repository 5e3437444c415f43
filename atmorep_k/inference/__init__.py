"""Windows that cover a grid to one labelled dataset: what every task runs on."""
