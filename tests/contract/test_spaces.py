# SPDX-License-Identifier: BSD-3-Clause
"""Rules for every space, and for the public functions with any space.

The same tests run over voxels, over chains (a space of thirty lines), over a pair of chains, and
over regions, which have no neighbours.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import scipy.stats
from numpy.typing import NDArray

from contract.fake_spaces import Chain
from groupglm import SecondLevelModel, SurfaceMaps, fit_robust, non_parametric_inference
from groupglm.inference.permutation.arrays import PermutationOutputs
from groupglm.inference.permutation.exchange import Exchange
from groupglm.spaces import registry
from groupglm.spaces.base import Space
from reference.confidence_sets import slow_sets
from reference.meshes import chain_mesh

pytestmark = pytest.mark.usefixtures("fake_kinds")

N_IMAGES = 12
SHAPE = (6, 5, 4)
LENGTH = 40


@dataclass(frozen=True)
class Case:
    """One kind of data: images of arrays, and back.

    Parameters
    ----------
    shapes : tuple of shapes
        Of the arrays that make up an image.
    image : callable
        Makes an image of these arrays.
    arrays : callable
        Takes an image apart again.
    weights : tuple
        What each place of each array counts in a cluster; empty if places have no neighbours.
    has_background : bool
        Whether places where all images are zero are outside.
    surfaces : mapping of str to Mesh, optional
        The meshes of the data.
    """

    shapes: tuple[tuple[int, ...], ...]
    image: Callable[..., Any]
    arrays: Callable[[Any], tuple[NDArray[Any], ...]]
    weights: tuple[Any, ...] = (1.0,)
    has_background: bool = True
    surfaces: Any = None

    def flat(self, image: Any) -> NDArray[np.float64]:
        """Return all values of an image in the order of a row."""
        return np.concatenate([values.ravel(order="F") for values in self.arrays(image)])

    def of_flat(self, values: NDArray[Any]) -> Any:
        """Make an image of all its values in the order of a row."""
        ends = np.cumsum([np.prod(shape) for shape in self.shapes])[:-1]
        pieces = np.split(np.asarray(values), ends)
        return self.image(
            *(p.reshape(s, order="F") for p, s in zip(pieces, self.shapes, strict=True))
        )

    @property
    def size(self) -> int:
        """How many values an image has."""
        return int(sum(np.prod(shape) for shape in self.shapes))


def _volume(values: NDArray[Any]) -> Any:
    return nib.Nifti1Image(values.astype(np.float64), np.diag([2.0, 2, 2, 1]))  # type: ignore[no-untyped-call]


REGIONS = [f"region {place}" for place in range(LENGTH)]


def _values_of_regions(image: pd.Series[float] | pd.DataFrame) -> tuple[NDArray[Any]]:
    """Return the values of all regions: results have those inside the mask only."""
    if isinstance(image, pd.DataFrame):
        return (image.reindex(columns=REGIONS, fill_value=0.0).to_numpy(),)
    return (image.reindex(REGIONS, fill_value=0.0).to_numpy(),)


LEFT, LEFT_AREAS = chain_mesh(LENGTH, -100.0)
RIGHT, RIGHT_AREAS = chain_mesh(LENGTH // 2, 100.0)


def _grayordinates(left: NDArray[Any], right: NDArray[Any], voxels: NDArray[Any]) -> Any:
    cifti: Any = nib.cifti2  # has no types
    axis = cifti.BrainModelAxis
    surfaces = [
        axis.from_surface(np.arange(len(values)), mesh.n_vertices, f"CORTEX_{side}")
        for side, values, mesh in (("LEFT", left, LEFT), ("RIGHT", right, RIGHT))
    ]
    inside = np.ones(SHAPE, bool)
    places = (
        surfaces[0] + surfaces[1] + axis.from_mask(inside, "thalamus_left", np.diag([2.0, 2, 2, 1]))
    )
    # The voxels of a file are in C order.
    row = np.concatenate([left, right, voxels.ravel()])[np.newaxis]
    return cifti.Cifti2Image(row, header=(cifti.ScalarAxis(["map"]), places))


def _parts_of_grayordinates(image: Any) -> tuple[NDArray[Any], ...]:
    rows = np.asarray(image.dataobj)
    left, right, voxels = np.split(rows, np.cumsum([LENGTH, LENGTH // 2]), axis=1)
    parts = left, right, voxels.reshape(-1, *SHAPE)
    return parts if len(rows) > 1 else tuple(part[0] for part in parts)


def _hemispheres(left: NDArray[Any], right: NDArray[Any]) -> Any:
    """Make a pair of GIFTI images; the vertices behind the links are zero."""
    gifti: Any = nib.gifti  # typed only in part
    return tuple(
        gifti.GiftiImage(
            darrays=[
                gifti.GiftiDataArray(
                    np.pad(values.astype(np.float64), (0, mesh.n_vertices - len(values))),
                    datatype="NIFTI_TYPE_FLOAT64",
                )
            ]
        )
        for values, mesh in ((left, LEFT), (right, RIGHT))
    )


def _parts_of_hemispheres(image: Any) -> tuple[NDArray[Any], ...]:
    pair = image.parts.values() if isinstance(image, SurfaceMaps) else image
    rows = [np.squeeze([array.data for array in own.darrays]) for own in pair]
    return tuple(own[..., :length] for own, length in zip(rows, (LENGTH, LENGTH // 2), strict=True))


def _parcels(values: NDArray[Any]) -> Any:
    cifti: Any = nib.cifti2  # has no types
    cortex = "CIFTI_STRUCTURE_CORTEX_LEFT"
    vertices = [{cortex: np.array([place])} for place in range(LENGTH)]
    voxels = [np.empty((0, 3), int)] * LENGTH
    axis = cifti.ParcelsAxis(REGIONS, voxels, vertices, nvertices={cortex: LENGTH})
    return cifti.Cifti2Image(values[np.newaxis], header=(cifti.ScalarAxis(["map"]), axis))


def _values_of_parcels(image: Any) -> tuple[NDArray[Any]]:
    rows = np.asarray(image.dataobj)
    return (rows if len(rows) > 1 else rows[0],)


CASES = {
    "volume": Case((SHAPE,), _volume, lambda image: (image.get_fdata(),)),
    "chain": Case(((LENGTH,),), Chain, lambda image: (image.data,)),
    "pair": Case(
        ((LENGTH,), (LENGTH // 2,)),
        lambda light, heavy: {"light": Chain(light), "heavy": Chain(heavy)},
        lambda image: (image["light"].data, image["heavy"].data),
        (1.0, 1.0 + np.arange(LENGTH // 2) % 3),
    ),
    "table": Case(
        ((LENGTH,),),
        lambda values: pd.Series(values, REGIONS),
        _values_of_regions,
        weights=(),
        has_background=False,
    ),
    "surface": Case(
        ((LENGTH,), (LENGTH // 2,)),
        _hemispheres,
        _parts_of_hemispheres,
        (LEFT_AREAS, RIGHT_AREAS),
        surfaces={"left": LEFT, "right": RIGHT},
    ),
    "parcels": Case(
        ((LENGTH,),),
        _parcels,
        _values_of_parcels,
        weights=(),
        has_background=False,
    ),
    "cifti": Case(
        ((LENGTH,), (LENGTH // 2,), SHAPE),
        _grayordinates,
        _parts_of_grayordinates,
        (LEFT_AREAS, RIGHT_AREAS, 1.0),
        surfaces={"left": LEFT, "right": RIGHT},
    ),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@dataclass(frozen=True)
class Study:
    """Images of a kind, their values inside the mask, and a design."""

    case: Case
    images: list[Any]
    mask: Any
    inside: NDArray[np.bool_]
    rows: NDArray[np.float64]  # (n_images, n_inside)
    design: pd.DataFrame


@pytest.fixture
def study(case: Case) -> Study:
    rng = np.random.default_rng(5)
    inside = rng.random(case.size) < 0.8
    values = rng.standard_normal((N_IMAGES, case.size)) + 0.5
    design = pd.DataFrame({"one": 1.0, "age": rng.standard_normal(N_IMAGES)}, range(N_IMAGES))
    images = [case.of_flat(row) for row in values]
    return Study(
        case, images, case.of_flat(inside.astype(float)), inside, values[:, inside], design
    )


def fitted(study: Study, **options: Any) -> SecondLevelModel:
    model = SecondLevelModel(
        study.mask, minimize_memory=False, surfaces=study.case.surfaces, **options
    )
    return model.fit(study.images, design_matrix=study.design)


def space_of(study: Study) -> Space:
    return fitted(study)._group.space


def test_a_fit_is_the_least_squares_fit_of_each_place(study: Study) -> None:
    model = fitted(study)
    X = study.design.to_numpy()
    beta, rss, _, _ = np.linalg.lstsq(X, study.rows, rcond=None)
    flat = study.case.flat(model.compute_contrast("age", output_type="effect_size"))
    # One solution by QR in double, rounded to the image's float32.
    np.testing.assert_allclose(flat[study.inside], beta[1], rtol=1e-6, atol=1e-7)
    assert not flat[~study.inside].any()
    variance = rss / (N_IMAGES - 2) * np.linalg.inv(X.T @ X)[1, 1]
    p = study.case.flat(model.compute_contrast("age", output_type="p_value"))
    expected = scipy.stats.t.sf(beta[1] / np.sqrt(variance), N_IMAGES - 2)
    np.testing.assert_allclose(p[study.inside], expected, rtol=1e-5)
    assert model.n_elements_ == study.inside.sum()
    np.testing.assert_array_equal(study.case.flat(model.mask_img_), study.inside)


def test_a_missing_value_is_left_out_at_its_place(study: Study) -> None:
    gap = int(np.flatnonzero(study.inside)[3])
    holed = study.case.flat(study.images[2]).copy()
    holed[gap] = np.nan
    study.images[2] = study.case.of_flat(holed)
    model = fitted(study)
    counts = study.case.flat(model.n_observations_)
    expected = np.where(study.inside, N_IMAGES, 0)
    expected[gap] -= 1
    np.testing.assert_array_equal(counts, expected)


def test_a_mask_is_found(study: Study) -> None:
    case = study.case
    if not case.has_background:
        pytest.skip("a zero is a value in a table of regions")
    # Zero in all images at the faces, where the background of volumes is looked for.
    brain = np.concatenate(
        [np.pad(np.ones(np.subtract(s, 2)), 1).ravel(order="F") for s in case.shapes]
    )
    images = [case.of_flat(case.flat(image) * brain) for image in study.images]
    model = SecondLevelModel().fit(images, design_matrix=study.design)
    np.testing.assert_array_equal(case.flat(model.mask_img_), brain)


def test_residuals_read_the_images_again(study: Study) -> None:
    model = fitted(study)
    X = study.design.to_numpy()
    expected = study.rows - X @ np.linalg.lstsq(X, study.rows, rcond=None)[0]
    arrays = study.case.arrays(model.residuals_)
    # The images are along the last axis of a volume, along the first one of chains.
    first = [a if a.shape[0] == N_IMAGES else np.moveaxis(a, -1, 0) for a in arrays]
    rows = np.concatenate([[v.ravel(order="F") for v in a] for a in first], axis=1)
    np.testing.assert_allclose(rows[:, study.inside], expected, atol=1e-6)  # of float32


def test_rows_of_images_and_back(study: Study) -> None:
    masker = fitted(study).masker_
    # As numpy gathers them: ``image[mask]`` of each array, one after the other.
    masks = [mask > 0 for mask in study.case.arrays(study.mask)]
    wanted = [
        np.concatenate([a[m] for a, m in zip(study.case.arrays(image), masks, strict=True)])
        for image in study.images
    ]
    np.testing.assert_array_equal(masker.transform(study.images), wanted)
    back = study.case.arrays(masker.inverse_transform(wanted[0]))
    for found, given, mask in zip(back, study.case.arrays(study.images[0]), masks, strict=True):
        np.testing.assert_allclose(found, np.where(mask, given, 0), rtol=1e-7)
    assert masker.n_elements_ == study.inside.sum()


def test_a_permutation_test_finds_the_clusters(study: Study) -> None:
    if not study.case.weights:
        pytest.skip("regions have no neighbours")
    # No F contrasts and no blocks here: other tests have them, and they do not depend on spaces.
    found = non_parametric_inference(
        study.images, design_matrix=study.design, second_level_contrast="one", mask=study.mask,
        n_perm=50, threshold=0.2, tfce=True, random_state=0, surfaces=study.case.surfaces,
    )  # fmt: skip
    X = study.design.to_numpy()
    beta, rss, _, _ = np.linalg.lstsq(X, study.rows, rcond=None)
    t = beta[0] / np.sqrt(rss / (N_IMAGES - 2) * np.linalg.inv(X.T @ X)[0, 0])
    np.testing.assert_allclose(study.case.flat(found["t"])[study.inside], t, rtol=1e-5)
    passes = study.case.flat(found["t"]) > scipy.stats.t.isf(0.2, N_IMAGES - 2)
    expected, start = [], 0
    for shape, weights in zip(study.case.shapes, study.case.weights, strict=True):
        own = passes[start : start + int(np.prod(shape))].reshape(shape, order="F")
        labels, _ = scipy.ndimage.label(own)  # faces
        sizes = np.bincount(labels.ravel(), np.broadcast_to(weights, shape).ravel())
        expected.append((sizes[labels] * own).ravel(order="F"))
        start += own.size
    size = study.case.flat(found["size"])
    np.testing.assert_array_equal(size, np.concatenate(expected))
    # Units differ: sizes are compared with the maxima of the parts of their own unit, and the
    # smallest p over all units is corrected for (Westfall and Young 1993).
    assert isinstance(found, PermutationOutputs)
    null, parts = found.results[0].state.null, space_of(study).parts
    units = list(dict.fromkeys(part.unit for part in parts))
    places = [
        np.concatenate([np.r_[part.places] for part in parts if part.unit == unit])
        for unit in units
    ]
    observed = [size[study.inside][own] for own in places]
    maxima = [
        np.append(values.max(), null["size" if len(units) == 1 else f"size_{unit}"])
        for values, unit in zip(observed, units, strict=True)
    ]
    alone = [(m >= m[:, None]).mean(axis=1) for m in maxima]
    least = np.minimum.reduce(alone)
    p = 10.0 ** -study.case.flat(found["logp_max_size"])[study.inside]
    for own, values, m in zip(places, observed, maxima, strict=True):
        of_part = (m >= values[:, None]).mean(axis=1)
        corrected = (least <= of_part[:, None] + 1e-9).mean(axis=1)
        np.testing.assert_allclose(p[own], np.where(values > 0, corrected, 1), rtol=1e-6)
    for name in ("logp_max_t", "logp_max_size", "logp_max_mass", "logp_max_tfce"):
        p = 10.0 ** -study.case.flat(found[name])[study.inside]
        assert (p >= 1 / 51 - 1e-6).all()
        assert (p <= 1 + 1e-6).all()


def test_a_space_names_its_places(study: Study) -> None:
    space = space_of(study)
    assert space.n_values == study.inside.sum()
    for place in (0, space.n_values - 1):
        assert space.describe_place(place)
    assert len({space.describe_place(place) for place in range(space.n_values)}) == space.n_values
    assert len(set(space.value_names())) == space.n_values
    assert ", ..." in space.name_places(np.arange(space.n_values))


def test_parts_cover_a_row_and_have_no_common_neighbours(study: Study) -> None:
    space = space_of(study)
    ends = [0, *(part.end for part in space.parts)]
    assert [part.first for part in space.parts] == ends[:-1]
    assert ends[-1] == space.n_values
    if not study.case.weights:
        with pytest.raises(ValueError, match="have no neighbours"):
            space.neighbours(6)
        return
    part_of = np.repeat(np.arange(len(space.parts)), [part.n_values for part in space.parts])
    starts, places = space.neighbours(6).adjacency()
    first = np.repeat(np.arange(space.n_values), np.diff(starts))
    assert len(places)
    np.testing.assert_array_equal(part_of[first], part_of[places])
    # Neighbours are mutual.
    pairs = set(zip(first.tolist(), places.tolist(), strict=True))
    assert pairs == {(b, a) for a, b in pairs}


def test_places_have_coordinates_or_none(study: Study) -> None:
    space = space_of(study)
    places = np.array([3, 1, space.n_values - 1])
    coordinates = space.coordinates()
    assert coordinates.shape == (space.n_values, 3)
    np.testing.assert_array_equal(space.coordinates(places), coordinates[places])
    for place in places[np.isfinite(coordinates[places]).all(axis=1)].tolist():
        assert space.place_at(coordinates[place].tolist()) == place
    assert space.place_at((1e6, 0.0, 0.0)) is None


def test_weights_are_what_is_measured(study: Study) -> None:
    space = space_of(study)
    weights = space.weights()
    some = np.array([0, 2, space.n_values - 1])
    if weights is None:
        assert space.measure(some) == pytest.approx(3 * space.measure(some[:1]))
    else:
        assert weights.shape == (space.n_values,)
        assert (weights > 0).all()
    assert space.measure(np.arange(space.n_values)) > space.measure(some) > 0


def test_restricting_keeps_the_order(study: Study) -> None:
    space = space_of(study)
    keep = np.arange(space.n_values) % 3 != 0
    smaller = space.restrict(keep)
    np.testing.assert_array_equal(smaller.coordinates(), space.coordinates()[keep])
    row = np.arange(1.0, space.n_values + 1)
    image = smaller.to_image(row[keep])
    whole = study.case.flat(image)
    np.testing.assert_array_equal(whole[whole != 0], row[keep])
    assert smaller.identity() != space.identity()


def test_a_space_travels_and_is_stored(study: Study) -> None:
    space = space_of(study)
    facts, arrays = space.stored()
    loaded = registry.kind_of_tag(space.tag).load_space(facts, arrays)
    for other in (loaded, pickle.loads(pickle.dumps(space))):  # noqa: S301 - our own bytes
        assert other.identity() == space.identity()
        assert [*other.value_names()] == [*space.value_names()]


def test_what_is_not_there_is_said(study: Study) -> None:
    space = space_of(study)
    absent = space.absent_source("sub-01", "study.groupglm")
    assert (absent.is_readable, absent.saved_in) == (False, "study.groupglm")
    with pytest.raises(Exception, match=r"sub-01.*its values are not in 'study\.groupglm'"):
        space.read_row(absent, np.empty(space.n_values))
    facts, arrays = space.stored()
    for name in arrays:
        with pytest.raises((KeyError, TypeError, ValueError)):
            registry.kind_of_tag(space.tag).load_space(
                facts, {key: value for key, value in arrays.items() if key != name}
            )
    with pytest.raises(ValueError, match="space 'fog'; this groupglm knows 'pair', 'heavy"):
        registry.kind_of_tag("fog")


def test_a_saved_model_is_the_same_without_its_images(study: Study, tmp_path: Path) -> None:
    model = fitted(study)
    loaded = SecondLevelModel.load(model.save(tmp_path / "study.groupglm"))
    for output in ("z_score", "effect_size"):
        np.testing.assert_array_equal(
            study.case.flat(loaded.compute_contrast("age", output_type=output)),
            study.case.flat(model.compute_contrast("age", output_type=output)),
        )
    np.testing.assert_array_equal(study.case.flat(loaded.mask_img_), study.inside)
    assert loaded._group.space.identity() == model._group.space.identity()
    with pytest.raises(Exception, match=r"study\.groupglm"):
        _ = loaded.residuals_


@pytest.mark.parametrize("units", ["effect", "cohen_d"])
def test_confidence_sets_are_those_of_loops(study: Study, units: Any) -> None:
    study.images[2] = study.case.of_flat(
        np.where(np.arange(study.case.size) % 7 == 1, np.nan, study.case.flat(study.images[2]))
    )
    model = fitted(study)
    options = {"level": 0.4, "units": units, "n_bootstraps": 100, "random_state": 3}
    if not study.case.weights:
        with pytest.raises(ValueError, match="have no neighbours, so that there is no boundary"):
            model.compute_confidence_sets("one", **options)
        return
    found = model.compute_confidence_sets("one", **options)
    data = np.full((N_IMAGES, study.case.size), np.nan)
    data[:, study.inside] = [study.case.flat(image)[study.inside] for image in study.images]
    numbers = np.cumsum(study.inside) - 1
    edges, start = [], 0
    for shape in study.case.shapes:
        places = (start + np.arange(np.prod(shape))).reshape(shape, order="F")
        for axis in range(len(shape)):
            along = np.moveaxis(places, axis, 0)
            pairs = zip(along[:-1].ravel(), along[1:].ravel(), strict=True)
            edges += [numbers[[a, b]] for a, b in pairs if study.inside[[a, b]].all()]
        start += places.size
    signs = Exchange(N_IMAGES, (np.arange(N_IMAGES)[:, None],), flips=True).draw((3,), 0, 100)[1]
    k, expected = slow_sets(
        data[:, study.inside], study.design.to_numpy(), np.array([1.0, 0.0]), edges, signs, 0.4,
        units,
    )  # fmt: skip
    assert found.n_boundary_points > 5
    # Residuals are kept in float32: 6e-8 of each, which t has once more.
    assert found.critical_value == pytest.approx(k, rel=1e-6)
    for name, inside in expected.items():
        flat = study.case.flat(found[name])
        np.testing.assert_array_equal(flat[study.inside], inside, err_msg=name)
        assert not flat[~study.inside].any()


def test_robust_regression_is_that_of_arrays(study: Study) -> None:
    study.images[4] = study.case.of_flat(study.case.flat(study.images[4]) + 20.0)
    rows = study.rows.copy()
    rows[4] += 20.0
    model = fitted(study, model="robust")
    fit = fit_robust(study.design.to_numpy(), rows)
    assert model.mean_weights_["mean_weight"].argmin() == 4
    np.testing.assert_allclose(model.mean_weights_["mean_weight"], fit.mean_weights, atol=1e-9)
    label = model.mean_weights_.index[4]
    for image, wanted in (
        (model.compute_contrast("age", output_type="stat"), fit.contrast([0, 1]).stat),
        (model.converged_, fit.converged),
        (model.iterations_, fit.iterations),
        (model.mean_weight_, fit.mean_weight),
        (model.weights_image(label), fit.weights(rows)[4]),
    ):
        flat = study.case.flat(image)
        # Maps are float32.
        np.testing.assert_allclose(flat[study.inside], wanted, rtol=1e-6, atol=1e-7)
        assert not flat[~study.inside].any()
