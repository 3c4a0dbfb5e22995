# SPDX-License-Identifier: BSD-3-Clause
"""Rows get their own subject's map, or an error names both sides, in every function."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from groupglm import SecondLevelModel, fit_ols, non_parametric_inference, permuted_ols
from groupglm.plotting import plot_peak
from groupglm.tabular.labels import near_labels

pytestmark = pytest.mark.quick

N = 8
LABELS = [f"{i:02d}" for i in range(1, N + 1)]
GROUP = np.array([0.0, 1, 0, 1, 0, 1, 1, 0])
SHUFFLED = ["03", "01", "08", "02", "05", "07", "04", "06"]
SHAPE = (4, 4, 4)


def image(values: Any) -> Any:
    return nib.Nifti1Image(values.astype(np.float32), np.eye(4))  # type: ignore[no-untyped-call]


MASK = image(np.ones(SHAPE))
RNG = np.random.default_rng(0)
DATA = [RNG.standard_normal(SHAPE) + 3 * g for g in GROUP]
IMAGES = [image(values) for values in DATA]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [str(tmp_path / f"sub-{label}_effect.nii") for label in LABELS]
    for path, values in zip(paths, IMAGES, strict=True):
        nib.save(values, path)
    return paths


class Model:
    """The smallest possible first-level model."""

    def __init__(self, label: str | None, effect: Any) -> None:
        self.subject_label, self._effect = label, effect

    def compute_contrast(self, contrast_def: Any, *, output_type: str) -> Any:
        assert (contrast_def, output_type) == ("c", "effect_size")
        return self._effect


def table() -> pd.DataFrame:
    return pd.DataFrame({"subject_label": LABELS, "map_name": "c", "effects_map_path": IMAGES})


def models() -> list[Model]:
    return [Model(label, one) for label, one in zip(LABELS, IMAGES, strict=True)]


def design() -> pd.DataFrame:
    return pd.DataFrame({"g": GROUP, "intercept": 1.0}, index=LABELS)


def t_of(given: Any, frame: pd.DataFrame, first_level: str | None = None) -> Any:
    model = SecondLevelModel(mask_img=MASK).fit(given, design_matrix=frame)
    return model.compute_contrast("g", first_level, output_type="stat").get_fdata()


def right_t() -> Any:
    """The two-sample t of each voxel, by scipy."""
    from scipy import stats

    patients = [values.astype(np.float32) for values, g in zip(DATA, GROUP, strict=True) if g]
    controls = [values.astype(np.float32) for values, g in zip(DATA, GROUP, strict=True) if not g]
    return stats.ttest_ind(np.array(patients, np.float64), np.array(controls, np.float64)).statistic


def near(values: Any) -> None:
    # float32 maps of a statistic of float32 images.
    np.testing.assert_allclose(values, right_t(), rtol=1e-5)


WRONG: dict[str, tuple[Any, str]] = {
    "sub-": (lambda d: d.set_axis("sub-" + d.index), "'01' is near 'sub-01'"),
    "numbers": (lambda d: d.set_axis(d.index.astype(int)), "'01' is near '1'.*zeros"),
    "gaps": (lambda d: d.set_axis(d.index.astype(float)), r"'01' is near '1\.0'"),
    "misspelt": (lambda d: d.rename({"08": "O8"}), "no row for 08; .*without a map: O8.*'08' is n"),
    "zeros": (lambda d: d.rename({"08": "8"}), "'08' is near '8'"),
    "case": (lambda d: d.set_axis("S" + d.index), "no row for .*'01' is near 'S01'"),
    "blanks": (lambda d: d.rename({"08": "08 "}), "'08' is near '08 '"),
    "one more": (lambda d: pd.concat([d, d.iloc[:1].rename({"03": "09"})]), "without a map: 09"),
    "one less": (lambda d: d.iloc[1:], "has no row for 03"),
    "twice": (lambda d: d.rename({"08": "07"}), "several rows for 07"),
    "others": (lambda d: d.set_axis([f"row{i}" for i in range(N)]), r"reset_index\(drop=True\)"),
    "no label": (lambda d: d.set_axis([*d.index[1:], None]), "none in row 8"),
    "two levels": (
        lambda d: d.set_axis(pd.MultiIndex.from_arrays([d.index, d.index])),
        "several levels",
    ),
}


@pytest.mark.parametrize("spoilt", WRONG)
@pytest.mark.parametrize("kind", ["table", "models"])
def test_labels_that_differ_are_refused_with_both_sides(kind: str, spoilt: str) -> None:
    given: Any = table() if kind == "table" else models()
    first_level = None if kind == "table" else "c"
    near(t_of(given, design().loc[SHUFFLED], first_level))
    spoil, message = WRONG[spoilt]
    with pytest.raises(ValueError, match=message):
        t_of(given, spoil(design().loc[SHUFFLED]), first_level)


@pytest.mark.parametrize("spoilt", sorted(set(WRONG) - {"sub-", "numbers", "gaps", "blanks"}))
def test_a_list_of_files_is_matched_by_the_labels_in_its_names(
    files: list[str], spoilt: str
) -> None:
    near(t_of(files, design().loc[SHUFFLED]))
    near(t_of(files[::-1], design()))
    near(
        t_of(files, design().set_axis("sub-" + design().index).loc[["sub-" + x for x in SHUFFLED]])
    )
    spoil, message = WRONG[spoilt]
    with pytest.raises(ValueError, match=message.replace("'01' is near 'S01'", "")):
        t_of(files, spoil(design().loc[SHUFFLED]))


def test_an_index_that_counts_rows_stays_in_order(files: list[str]) -> None:
    plain = design().reset_index(drop=True)
    filtered = plain.set_axis([0, 2, 3, 5, 8, 9, 11, 12])
    for frame in (plain, filtered, plain.set_axis(pd.RangeIndex(100, 108))):
        near(t_of(files, frame))
        near(t_of(IMAGES, frame))
    near(t_of(table(), plain))
    near(t_of(table(), plain.set_axis(pd.RangeIndex(100, 108))))  # label no map
    # These do: 2 is perhaps 02.
    with pytest.raises(ValueError, match=r"'02' is near '2'.*reset_index\(drop=True\)"):
        t_of(table(), filtered)
    # Numbers in an index that is called so are labels, everywhere.
    named = plain.set_axis(pd.Index(range(1, N + 1), name="participant_id"))
    with pytest.raises(ValueError, match="'01' is near '1'"):
        t_of(files, named)
    near(t_of(IMAGES, design()))  # nothing says whose these are


def test_labels_of_a_series_of_images_count() -> None:
    series = pd.Series(IMAGES, index=LABELS)
    near(t_of(series, design().loc[SHUFFLED]))
    with pytest.raises(ValueError, match="no row for 08"):
        t_of(series, design().rename({"08": "80"}))


def test_several_images_a_subject_must_stand_on_rows_of_their_subject(files: list[str]) -> None:
    labels = np.repeat(LABELS[:4], 2)
    paired = pd.get_dummies(pd.Series(labels), dtype=float).assign(g=np.tile([0.0, 1.0], 4))
    twice = [path.replace("_effect", f"_ses-{s}") for path in files[:4] for s in (1, 2)]
    for path, one in zip(twice, IMAGES, strict=True):
        nib.save(one, path)
    t_of(twice, paired.set_axis(labels))
    with pytest.raises(ValueError, match=r"image 2 .* is of subject '01', .* row 2 .* '02'"):
        t_of(twice, paired.set_axis(np.tile(LABELS[:4], 2)))
    # A folder above all files is not a label.
    folder = Path(files[0]).parent / "sub-project"
    folder.mkdir()
    moved = [str(folder / f"{label}.nii") for label in LABELS]
    for path, one in zip(moved, IMAGES, strict=True):
        nib.save(one, path)
    near(t_of(moved, design()))


def test_each_map_name_alone_must_be_in_order() -> None:
    both = pd.concat([table(), table().assign(map_name="d")])
    plain = design().reset_index(drop=True)
    near(t_of(both, plain, "c"))
    near(t_of(both, plain, "d"))
    with pytest.raises(ValueError, match="not sorted by subject_label"):
        t_of(pd.concat([table(), table().assign(map_name="d").iloc[::-1]]), plain, "c")


def test_repeated_subjects_are_not_independent() -> None:
    twice = table().assign(subject_label=np.repeat(LABELS[:4], 2))
    with pytest.raises(ValueError, match=r"8 maps of 4 subjects: subject '01' has 2.*independent"):
        SecondLevelModel(mask_img=MASK).fit(twice)
    ages = pd.DataFrame({"subject_label": LABELS, "age": np.arange(8.0) ** 2})
    with pytest.raises(ValueError, match="8 maps of 4 subjects"):
        SecondLevelModel(mask_img=MASK).fit(twice, confounds=ages)
    with pytest.raises(ValueError, match="8 maps of 4 subjects"):
        SecondLevelModel(mask_img=MASK).fit(
            [Model(x, y) for x, y in zip("aabbccdd", IMAGES, strict=True)]
        )
    options: Any = {"mask": MASK, "n_perm": 15, "random_state": 0}
    with pytest.raises(ValueError, match="8 maps of 4 subjects"):
        non_parametric_inference(twice, second_level_contrast="intercept", **options)
    blocks = pd.Series(LABELS[:4], index=LABELS[:4])
    non_parametric_inference(
        twice,
        second_level_contrast="intercept",
        exchangeability_blocks=blocks,
        block_permutation="whole",
        **options,
    )
    # A design says what the user means.
    paired = pd.DataFrame(np.repeat(np.eye(4), 2, axis=0), columns=list("abcd"))
    SecondLevelModel(mask_img=MASK).fit(twice, design_matrix=paired.assign(g=np.tile([0, 1], 4)))


def test_one_file_is_not_two_subjects(files: list[str], tmp_path: Path) -> None:
    link = tmp_path / "sub-99_effect.nii"
    link.symlink_to(files[0])
    wrong = table().assign(effects_map_path=[*files[:-1], str(link)])
    with pytest.raises(ValueError, match=r"one file for the maps of subject '01' and '08': '.*99"):
        SecondLevelModel(mask_img=MASK).fit(wrong)
    plain = design().reset_index(drop=True)
    with pytest.warns(UserWarning, match=r"images 1 and 8 of second_level_input are one file"):
        t_of([*files[:-1], str(link)], plain)


def test_blocks_and_variance_groups_meet_their_subjects(files: list[str]) -> None:
    site = pd.Series(list("aaaabbbb"), index=LABELS)
    options: Any = {
        "second_level_contrast": "g", "mask": MASK, "n_perm": 30, "random_state": 0
    }  # fmt: skip
    inputs: list[tuple[Any, Any]] = [
        (table(), {}),
        (files, {}),
        (models(), {"first_level_contrast": "c"}),
    ]
    for given, kind in inputs:

        def run(given: Any = given, kind: Any = kind, **more: Any) -> Any:
            logp: Any = non_parametric_inference(
                given, design_matrix=design(), **options, **kind, **more
            )
            return logp.get_fdata()

        right = run(exchangeability_blocks=site.tolist())
        assert not np.array_equal(right, run(exchangeability_blocks=list("aabaabbb")))
        np.testing.assert_array_equal(right, run(exchangeability_blocks=site.loc[SHUFFLED]))
        more = pd.concat([site, pd.Series(["e"], index=["77"])])  # of somebody without a map
        np.testing.assert_array_equal(right, run(exchangeability_blocks=more))
        for name in ("exchangeability_blocks", "variance_groups"):
            with pytest.raises(ValueError, match=f"{name} has no row for 08.*'08' is near '8'"):
                run(**{name: site.rename({"08": "8"})})
            with pytest.raises(ValueError, match=f"{name} has several rows for 07"):
                run(**{name: pd.concat([site, site.loc[["07"]]])})
    # Values without labels cannot follow rows that were put into another order.
    for unordered in (design().loc[SHUFFLED], design().iloc[::-1]):
        with pytest.raises(ValueError, match="has no labels to be sorted by"):
            non_parametric_inference(
                files, design_matrix=unordered, exchangeability_blocks=site.tolist(), **options
            )


def test_arrays_with_labels_are_brought_together() -> None:
    Y: Any = pd.DataFrame(np.array(DATA).reshape(N, -1), index=LABELS)
    group, ages = pd.Series(GROUP, index=LABELS), pd.Series(np.arange(N) ** 2.0, index=LABELS)
    site = pd.Series(list("aabbaabb"), index=LABELS)
    options: Any = {"n_perm": 20, "random_state": 0}
    right = permuted_ols(group, Y, ages, exchangeability_blocks=site, **options)
    shuffled = permuted_ols(
        group.loc[SHUFFLED],
        Y,
        ages.iloc[::-1],
        exchangeability_blocks=site.loc[SHUFFLED],
        **options,
    )
    for name, values in right.items():
        np.testing.assert_array_equal(shuffled[name], values)
    with pytest.raises(ValueError, match=r"tested_vars has no row for 08.*'08' is near '8'"):
        permuted_ols(group.rename({"08": "8"}), Y, **options)
    with pytest.raises(
        ValueError, match=r"exchangeability_blocks and target_vars .* confounding_va"
    ):
        permuted_ols(group, Y, ages.to_numpy(), exchangeability_blocks=site[::-1], **options)
    with pytest.raises(ValueError, match="same numbers in another order"):
        permuted_ols(
            group.set_axis([3, 1, 2, 4, 5, 6, 7, 9]),
            Y.set_axis([1, 2, 3, 4, 5, 6, 7, 9]),
            **options,
        )
    X = design()
    np.testing.assert_array_equal(fit_ols(X.loc[SHUFFLED], Y).beta, fit_ols(X, Y).beta)
    with pytest.raises(ValueError, match="X has no row for 08"):
        fit_ols(X.rename({"08": "80"}), Y)


def test_a_peak_is_drawn_with_the_rows_of_its_images(files: list[str]) -> None:
    def points(values: Any, frame: pd.DataFrame, **more: Any) -> Any:
        axes = plot_peak(values, frame, "g", **more).axes[0]
        drawn: Any = [np.asarray(group.get_offsets()) for group in axes.collections]
        return np.sort(np.concatenate([xy[:, 1] for xy in drawn if len(xy) > 1]))

    values = pd.Series([float(one[0, 0, 0]) for one in DATA], index=LABELS)
    frame = design().assign(age=np.arange(N) ** 2.0)
    right = points(values.tolist(), frame.reset_index(drop=True))
    np.testing.assert_allclose(points(values, frame.loc[SHUFFLED]), right)
    at = points(files, frame.loc[SHUFFLED], position=(0.0, 0.0, 0.0))
    np.testing.assert_allclose(at, right, rtol=1e-5, atol=1e-6)


def test_near_labels_are_found_in_linear_time() -> None:
    n = 20_000
    some, others = [f"{i:06d}" for i in range(n)], [f"sub-{i}" for i in range(n)]
    assert near_labels(some, others) == list(zip(some, others, strict=True))
    assert near_labels(["Anna", "bert"], ["anna ", "BERT", "carl"]) == [
        ("Anna", "anna "),
        ("bert", "BERT"),
    ]
    assert near_labels(["x1"], ["y9"]) == []
    message = "design_matrix has no row for"
    with pytest.raises(ValueError, match=message) as caught:
        t_of(table(), design().set_axis([f"x{i}" for i in range(N)]))
    assert len(re.findall("is near", str(caught.value))) <= 8


@pytest.mark.parametrize("kind", [int, float])
def test_numbers_that_are_the_labels_of_all_images_in_another_order_are_no_count(
    files: list[str], kind: Any
) -> None:
    """As read_csv(index_col="participant_id") makes them of 01, 02, ...."""
    shuffled = design().loc[SHUFFLED]
    numbers = shuffled.set_axis(shuffled.index.astype(kind))
    with pytest.raises(ValueError, match=r"'01' is near '1.*reset_index\(drop=True\)"):
        t_of(files, numbers)
    with pytest.raises(ValueError, match=r"no subject has a map|is near '1"):
        SecondLevelModel(mask_img=MASK).fit(files, design_matrix=numbers, allow_partial=True)
    near(t_of(files, numbers.sort_index()))  # which says the same as a count
    series = pd.Series([IMAGES[LABELS.index(x)] for x in SHUFFLED], index=numbers.index)
    with pytest.raises(ValueError, match="is near '01'"):
        t_of(series, design())
    site = pd.Series(list("aaaabbbb"), index=LABELS).loc[SHUFFLED].set_axis(numbers.index)
    with pytest.raises(ValueError, match="exchangeability_blocks has no row for 01"):
        non_parametric_inference(
            files, design_matrix=design(), second_level_contrast="g", mask=MASK, n_perm=9,
            random_state=0, exchangeability_blocks=site,
        )  # fmt: skip
    Y: Any = pd.DataFrame(np.array(DATA).reshape(N, -1), index=LABELS)
    with pytest.raises(ValueError, match="X has no row for 01"):
        fit_ols(numbers, Y)
    with pytest.raises(ValueError, match="is near"):
        plot_peak(files, numbers, "g", position=(0.0, 0.0, 0.0))
    # Without leading zeros they are the labels.
    plain = [str(int(label)) for label in LABELS]
    if kind is int:
        np.testing.assert_array_equal(
            fit_ols(numbers, Y.set_axis(plain)).beta, fit_ols(design(), Y).beta
        )


@pytest.mark.parametrize("change", [str.encode, lambda label: (label,), pd.Timestamp])
def test_an_index_of_other_things_than_numbers_does_not_count_rows(
    files: list[str], change: Any
) -> None:
    labels = LABELS if change is not pd.Timestamp else [f"2020-01-{label}" for label in LABELS]
    other = pd.Index([change(label) for label in labels], tupleize_cols=False)
    for given in (files, table()):
        with pytest.raises(ValueError, match=r"design_matrix has no row for 01.*reset_index"):
            t_of(given, design().set_axis(other))


@pytest.mark.parametrize("twin", ["01 ", "sub-01", "0\uff11"])
def test_one_subject_in_two_ways_of_writing_is_not_two(twin: str) -> None:
    labels = ["01", twin, *LABELS[2:]]
    frame = design().reset_index(drop=True)
    for given in (
        table().assign(subject_label=labels),
        [Model(label, one) for label, one in zip(labels, IMAGES, strict=True)],
    ):
        for matrix in (None, frame):
            with pytest.raises(ValueError, match="names a subject in two ways, '01' and"):
                SecondLevelModel(mask_img=MASK).fit(given, design_matrix=matrix)
