"""Names, units, times, places and regions of the atmosphere; knows no file and no model."""
