"""One page that shows a run, an evaluation or a prediction, and opens without a network."""
