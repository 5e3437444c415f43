import numpy as np

from atmorep_k.evaluation.predictions.zonal_spectra import ZonalSpectra, zonal_power


def test_power_adds_up_to_the_mean_square():
    rng = np.random.default_rng(0)
    for number in (11, 12):
        values = rng.normal(size=(3, number))
        np.testing.assert_allclose(zonal_power(values).sum(axis=-1), (values**2).mean(axis=-1))


def test_a_wave_has_its_power_at_its_wavenumber():
    angle = 2 * np.pi * np.arange(16) / 16
    expected = np.zeros(9)
    expected[0], expected[3] = 4.0, 25 / 2
    np.testing.assert_allclose(zonal_power(2 + 5 * np.cos(3 * angle + 1)), expected, atol=1e-12)


def test_circles_count_by_area_where_they_are_whole(make_case):
    case = make_case(counting=2)
    area = case.weights.weight[0, 0, :, 0]
    spectra = ZonalSpectra(("ensemble", "climatology"), area, (2, 1), 12)
    case.weights.counted[0, 4, 7] = False
    for model in ("ensemble", "climatology"):
        spectra.add(0, model, case)
    assert spectra.names == ["truth", "ensemble", "climatology", "members"]
    truth, mean, _, members = spectra.mean()[:, :, 0].sum(axis=-1)
    there = np.array([np.arange(11) != 4, np.ones(11, bool)]) * area
    square = [(a**2).mean(axis=-1) for a in (case.truth, case.members.mean(axis=0))]
    for found, values in zip((truth, mean), square, strict=True):
        np.testing.assert_allclose(found, (values * there).sum(-1) / there.sum(-1))
    expected = ((case.members**2).mean(axis=(0, -1)) * there).sum(-1) / there.sum(-1)
    np.testing.assert_allclose(members, expected)
