"""Maps and plots, without pyplot."""
