import numpy as np
import pytest

from atmorep_k.earth.places import inside
from atmorep_k.errors import UserError

LATITUDE, LONGITUDE = np.arange(90, -91, -30.0), np.arange(0, 360, 45.0)


@pytest.mark.parametrize(
    ("region", "rows", "columns", "from_west"),
    [
        ((-30, 30, 90, 180), [30, 0, -30], [90, 135, 180], [0, 45, 90]),
        ((60, 90, -45, 45), [90, 60], [0, 45, 315], [45, 90, 0]),
        ((-90, -60, 270, 0), [-60, -90], [0, 270, 315], [90, 0, 45]),
        ((0, 10, -180, 180), [0], LONGITUDE, (LONGITUDE + 180) % 360),
    ],
)
def test_edges_belong_to_a_region(region, rows, columns, from_west):
    in_lat, in_lon, eastward = inside(LATITUDE, LONGITUDE, region)
    np.testing.assert_array_equal(LATITUDE[in_lat], rows)
    np.testing.assert_array_equal(LONGITUDE[in_lon], columns)
    np.testing.assert_allclose(eastward[in_lon], from_west, atol=1e-5)


@pytest.mark.parametrize("region", [(0, 10, 20), (10, 0, 20, 30), (0, 91, 20, 30), (0, 10, 20, 20)])
def test_what_is_no_region(region):
    with pytest.raises(UserError, match=r"a region needs \(south, north, west, east\)"):
        inside(LATITUDE, LONGITUDE, region)
