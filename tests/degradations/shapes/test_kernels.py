"""Blur kernels have sum 1 and the given width and symmetry."""

import math

import numpy as np
import pytest

from diffir.degradations.shapes.kernels import bell_kernel, disc_kernel, path_kernel, sinc_kernel

KERNELS = {
    "gaussian": bell_kernel(21, (2.0, 2.0)),
    "turned": bell_kernel(21, (3.0, 1.0), 0.7),
    "generalized": bell_kernel(21, (2.0, 1.0), 0.3, family="generalized", beta=0.7),
    "plateau": bell_kernel(21, (2.0, 1.0), 0.3, family="plateau", beta=1.5),
    "sinc": sinc_kernel(15, 1.5),
    "disc": disc_kernel(4.3),
    "path": path_kernel(np.array([0, 1 + 2j, 4 + 2.5j])),
}


def moments(kernel):
    """Mean and covariance of (x, y)."""
    axis = np.arange(len(kernel)) - len(kernel) // 2
    x, y = np.meshgrid(axis, axis)
    points = np.stack([x.ravel(), y.ravel()])
    return points @ kernel.ravel(), np.cov(points, aweights=kernel.ravel(), ddof=0)


@pytest.mark.parametrize("name", KERNELS)
def test_the_weights_add_up_to_one(name):
    assert KERNELS[name].sum() == pytest.approx(1)


@pytest.mark.parametrize("name", sorted(set(KERNELS) - {"path"}))
def test_a_kernel_looks_the_same_from_the_other_side(name):
    assert np.allclose(KERNELS[name], KERNELS[name][::-1, ::-1])


@pytest.mark.parametrize("name", ["gaussian", "sinc", "disc"])
def test_a_round_kernel_looks_the_same_after_a_quarter_turn(name):
    assert np.allclose(KERNELS[name], np.rot90(KERNELS[name]))


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_the_variance_of_a_gaussian_is_sigma_squared(sigma):
    _, covariance = moments(bell_kernel(41, (sigma, sigma)))

    assert np.allclose(covariance, sigma**2 * np.eye(2), rtol=1e-3, atol=1e-6)


def test_the_long_axis_of_a_turned_gaussian_points_along_its_angle():
    _, covariance = moments(bell_kernel(61, (4.0, 1.0), 0.5))

    values, vectors = np.linalg.eigh(covariance)
    assert np.allclose(np.sqrt(values), [1, 4], rtol=1e-2)
    assert math.atan(vectors[1, 1] / vectors[0, 1]) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("family", ["generalized", "plateau"])
def test_the_middle_of_a_family_is_the_published_formula(family):
    kernel = bell_kernel(21, (2.0, 2.0), family=family, beta=1.3)

    q = (3 / 2) ** 2  # three pixels from the middle
    falls = {"generalized": math.exp(-0.5 * q**1.3), "plateau": 1 / (1 + q**1.3)}
    assert kernel[10, 13] / kernel[10, 10] == pytest.approx(falls[family])


def test_a_sinc_passes_what_is_slower_than_its_cutoff_and_stops_the_rest():
    response = np.abs(np.fft.rfft(sinc_kernel(61, math.pi / 2).sum(axis=0), 256))

    assert response[20] == pytest.approx(1, abs=0.1)  # pi / 6.4
    assert response[110] < 0.1  # 0.86 pi


@pytest.mark.parametrize("radius", [0.0, 0.4, 3.0, 7.5])
def test_a_disc_has_the_variance_of_a_disc(radius):
    _, covariance = moments(disc_kernel(radius))

    assert covariance[0, 0] == pytest.approx(radius**2 / 4, abs=0.15 + 0.02 * radius**2)


@pytest.mark.parametrize("blades", [3, 5, 6, 9])
def test_a_polygon_has_the_area_of_the_disc_and_fits_its_square(blades):
    kernel = disc_kernel(8.0, blades=blades, angle=0.3)

    assert 1 / kernel.max() == pytest.approx(math.pi * 64, rel=0.03)
    assert max(kernel[0].max(), kernel[-1].max(), kernel[:, 0].max(), kernel[:, -1].max()) < 1e-9


def test_a_path_has_its_mean_in_the_middle_and_its_own_spread():
    path = np.array([0, 2.3 + 1j, 5 - 1.7j, 7.1])

    mean, covariance = moments(path_kernel(path))

    assert np.allclose(mean, 0, atol=1e-9)
    assert np.diag(covariance) == pytest.approx([path.real.var(), path.imag.var()], abs=0.26)  # pixels are a square


def test_a_path_that_stays_is_a_single_pixel():
    assert path_kernel(np.zeros(3, complex)).max() == 1
