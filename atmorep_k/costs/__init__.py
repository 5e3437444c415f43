"""What a training or a prediction would take, without doing it."""
