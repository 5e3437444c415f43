"""The simulated atmosphere."""
