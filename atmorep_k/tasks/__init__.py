"""What a trained model is asked for: a module with a function of its name for each task."""
