"""Models made from saved ones, and the proof that nothing old changed."""
