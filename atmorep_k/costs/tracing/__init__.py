"""What a training step would compute and keep, found by tracing it without computing."""
