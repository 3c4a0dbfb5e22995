# SPDX-License-Identifier: BSD-3-Clause
"""The conjunction of several maps: brute force, every kind of data, and what is refused."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from groupglm import (
    SecondLevelModel,
    conjunction_img,
    get_clusters_table,
    threshold_stats_img,
)
from groupglm.errors import GridMismatchError, ImageError
from groupglm.spaces.cifti.images import statistic_of
from groupglm.spaces.statistic import ONE_SIDED_Z, Statistic
from groupglm.spaces.surface.writing import statistic_in
from groupglm.spaces.table.series import said_by_series

nib: Any = nibabel  # typed only in part

SHAPE = (5, 6, 7)


def image(values: Any, affine: Any = None, kind: str = "z", params: tuple[float, ...] = ()) -> Any:
    made = nib.Nifti1Image(
        np.asarray(values, dtype=np.float64), np.eye(4) if affine is None else affine
    )
    made.header.set_intent({"z": "z score", "t": "t test", "F": "f test"}[kind], params)
    return made


@pytest.fixture
def maps() -> list[Any]:
    rng = np.random.default_rng(0)
    return [image(rng.standard_normal(SHAPE) + 1) for _ in range(3)]


@pytest.fixture
def mask() -> Any:
    return nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))


def test_it_is_the_smallest_z_of_each_voxel(maps: list[Any], mask: Any) -> None:
    values = np.stack([m.get_fdata() for m in maps])
    found = conjunction_img(maps, mask).get_fdata()
    np.testing.assert_array_equal(found, values.min(axis=0).astype(np.float32))


def test_of_both_signs_all_maps_must_agree(maps: list[Any], mask: Any) -> None:
    found = conjunction_img(maps, mask, two_sided=True).get_fdata()
    for place in np.ndindex(SHAPE):
        own = [m.get_fdata()[place] for m in maps]
        signs = {np.sign(z) for z in own}
        wanted = 0.0 if len(signs) > 1 else signs.pop() * min(map(abs, own))
        assert found[place] == np.float32(wanted)


def test_what_survives_a_threshold_survives_it_in_every_map(maps: list[Any], mask: Any) -> None:
    kept: Any
    each: list[Any]
    kept, _ = threshold_stats_img(
        conjunction_img(maps, mask), mask, alpha=0.1, height_control="fpr", two_sided=False
    )
    each = [
        threshold_stats_img(m, mask, alpha=0.1, height_control="fpr", two_sided=False)[0]
        for m in maps
    ]
    wanted = np.all([m.get_fdata() != 0 for m in each], axis=0)
    assert 0 < wanted.sum() < wanted.size
    np.testing.assert_array_equal(kept.get_fdata() != 0, wanted)


def test_the_result_says_that_it_is_z(maps: list[Any], mask: Any) -> None:
    assert conjunction_img(maps, mask).header.get_intent()[0] == "z score"


def test_a_map_of_p_is_refused(maps: list[Any], mask: Any) -> None:
    p = nib.Nifti1Image(maps[0].get_fdata(), np.eye(4))
    p.header["descrip"] = b"t p_value of contrast a"
    with pytest.raises(ImageError, match=r"a map of p-values .* z-scores are needed"):
        conjunction_img([maps[1], p], mask)


def test_t_is_converted_by_its_degrees_of_freedom(maps: list[Any], mask: Any) -> None:
    t = image(maps[0].get_fdata(), kind="t", params=(12,))
    with pytest.warns(UserWarning, match="converted to z-scores"):
        found = conjunction_img([t, maps[1]], mask).get_fdata()
    z = stats.norm.isf(stats.t.sf(t.get_fdata(), 12))
    np.testing.assert_allclose(found, np.minimum(z, maps[1].get_fdata()), rtol=1e-6)


def test_a_place_that_a_map_lacks_is_missing_or_outside(maps: list[Any], mask: Any) -> None:
    values = maps[0].get_fdata()
    values[2, 3, 3] = np.nan
    with pytest.warns(UserWarning, match="1 voxel inside the mask is NaN"):
        found = conjunction_img([image(values), maps[1]], mask).get_fdata()
    assert np.isnan(found[2, 3, 3])
    assert np.isfinite(np.delete(found.ravel(), np.ravel_multi_index((2, 3, 3), SHAPE))).all()


def test_voxels_outside_one_of_the_maps_are_counted() -> None:
    rng = np.random.default_rng(1)
    first, second = (np.pad(rng.standard_normal(SHAPE) + 5, 3) for _ in range(2))
    second[4, 4, 4] = 0
    with pytest.warns(UserWarning, match=r"1 voxel of stat_img is background in another of the 2"):
        found = conjunction_img([image(first), image(second)]).get_fdata()
    inside = second != 0
    np.testing.assert_array_equal(
        found[inside], np.minimum(first, second)[inside].astype(np.float32)
    )
    assert not found[~inside].any()


def test_maps_of_regions_have_a_conjunction() -> None:
    rng = np.random.default_rng(2)
    regions = pd.DataFrame(rng.normal(0.5, 1, (9, 4)), columns=list("abcd"))
    design = pd.DataFrame({"mean": np.ones(9), "age": rng.normal(size=9)})
    model = SecondLevelModel().fit(regions, design_matrix=design)
    both = [model.compute_contrast(name) for name in ("mean", "age")]
    found = conjunction_img(both, list("abcd"))
    np.testing.assert_allclose(found.loc[list("abcd")], np.minimum(*both), rtol=1e-6)


def test_regions_in_another_order_are_matched_by_name() -> None:
    first = pd.Series([1.0, 2.0, 3.0], index=list("abc"), name="contrast_z")
    second = pd.Series([2.5, 0.5, 4.0], index=list("cab"), name="contrast_z")
    found = conjunction_img([first, second], list("abc"))
    assert found.loc[list("abc")].tolist() == [0.5, 2.0, 2.5]


def test_maps_of_t_have_degrees_of_freedom_of_their_own(maps: list[Any], mask: Any) -> None:
    values, degrees = [m.get_fdata() for m in maps[:2]], (5, 40)
    both = [image(t, kind="t", params=(df,)) for t, df in zip(values, degrees, strict=True)]
    with pytest.warns(UserWarning, match="converted to z-scores"):
        found = conjunction_img(both, mask).get_fdata()
    z = [stats.norm.isf(stats.t.sf(t, df)) for t, df in zip(values, degrees, strict=True)]
    np.testing.assert_allclose(found, np.minimum(*z), rtol=1e-6)


def test_each_map_is_opened_once(
    maps: list[Any], mask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from groupglm.spaces.volume import kind

    opened, original = [], kind.open_map

    def counting(given: Any, *more: Any) -> Any:
        opened.append(given)
        return original(given, *more)

    monkeypatch.setattr(kind, "open_map", counting)
    conjunction_img(maps, mask)
    assert [sum(each is given for given in opened) for each in maps] == [1, 1, 1]


def test_what_is_no_conjunction_is_refused(maps: list[Any], mask: Any) -> None:
    with pytest.raises(TypeError, match="stat_imgs is a Nifti1Image"):
        conjunction_img(maps[0], mask)
    with pytest.raises(TypeError, match="stat_imgs is a str"):
        conjunction_img("z.nii.gz", mask)
    with pytest.raises(ValueError, match="stat_imgs holds 1 map; it must be at least two"):
        conjunction_img(maps[:1], mask)
    f = image(np.abs(maps[0].get_fdata()), kind="F", params=(2, 12))
    with pytest.raises(
        ValueError, match=r"map 2 of the conjunction .* does not tell the direction"
    ):
        conjunction_img([maps[0], f], mask)
    other = image(maps[1].get_fdata(), np.diag([2.0, 2, 2, 1]))
    with pytest.raises(GridMismatchError, match=r"map 2 of the conjunction .* first"):
        conjunction_img([maps[0], other])
    regions = pd.Series([1.0, 2.0], index=list("ab"), name="contrast_z")
    with pytest.raises(GridMismatchError, match=r"map 2 .* is of another kind of data"):
        conjunction_img([maps[0], regions])
    halves = [np.zeros(np.add(SHAPE, 6)) for _ in range(2)]
    halves[0][4], halves[1][6] = 3.0, 3.0
    halves[0][4, 4, 4] = halves[1][6, 4, 4] = 2.0
    with pytest.raises(ImageError, match="no voxels in common"):
        conjunction_img([image(half) for half in halves])


def test_a_one_sided_conjunction_has_one_tail(tmp_path: Path) -> None:
    """Where the smallest z is negative, some map is: this is no evidence of both effects."""
    rng = np.random.default_rng(3)
    z = rng.normal(size=(2, 12, 12, 12))
    z[:, 3:6, 3:6, 3:6] += 6.0
    made: Any = nibabel.Nifti1Image
    maps = [made(one, np.diag([2.0, 2.0, 2.0, 1.0])) for one in z]
    mask = made(np.ones((12, 12, 12), np.uint8), maps[0].affine)
    one_sided, both = conjunction_img(maps, mask), conjunction_img(maps, mask, two_sided=True)
    path = tmp_path / "both.nii.gz"
    save: Any = nibabel.save
    save(one_sided, path)
    for image in (one_sided, path, str(path)):
        found: Any
        found, threshold = threshold_stats_img(
            image, mask, alpha=0.05, height_control="fpr", two_sided=True
        )
        assert threshold == pytest.approx(stats.norm.isf(0.05))
        values = found.get_fdata()
        np.testing.assert_array_equal(values > 0, one_sided.get_fdata() >= threshold)
        assert not (values < 0).any()
        assert (get_clusters_table(image, 2.0, two_sided=True)["Peak Stat"] > 0).all()
    assert (one_sided.get_fdata() < -2).any()  # else nothing was left out
    kept: Any
    kept, threshold = threshold_stats_img(
        both, mask, alpha=0.05, height_control="fpr", two_sided=True
    )
    assert threshold == pytest.approx(stats.norm.isf(0.025))
    np.testing.assert_array_equal(kept.get_fdata() != 0, np.abs(both.get_fdata()) >= threshold)


def test_each_kind_of_data_keeps_that_it_has_one_tail() -> None:
    descrip = f"{ONE_SIDED_Z} of the conjunction of 2 maps"
    series = pd.Series([1.0, -2.0], ["a", "b"], name=descrip)
    found = [
        statistic_in("NIFTI_INTENT_ZSCORE", {"Name": descrip}),
        statistic_of({"Values": "z"}, descrip),
        said_by_series(series)[0],
        Statistic.of_sidecar({"Values": "z", "TwoSided": False}),
    ]
    assert [one is not None and one.has_one_tail for one in found] == [True] * 4
    other = Statistic.of_sidecar({"Values": "z", "TwoSided": True})
    assert other is not None
    assert not other.has_one_tail
