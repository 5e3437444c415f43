"""Maps and plots, made without pyplot."""

from atmorep_k.figures.maps import coastlines_of, draw_map, evenly, prediction_maps
from atmorep_k.figures.plots import COLOURS, draw_maps, new_figure, save

__all__ = [
    "COLOURS",
    "coastlines_of",
    "draw_map",
    "draw_maps",
    "evenly",
    "new_figure",
    "prediction_maps",
    "save",
]
