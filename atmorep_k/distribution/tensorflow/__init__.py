"""The engines of TensorFlow."""
