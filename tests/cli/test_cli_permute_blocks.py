# SPDX-License-Identifier: BSD-3-Clause
"""Exchangeability blocks on the command line: p by enumeration, the same as in Python, refusals."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from groupglm import non_parametric_inference
from reference.shell import run, run_well, values_of
from reference.visit_study import SHAPE, arguments, save

SUBJECTS = [f"{k:02d}" for k in range(1, 9)]
PATIENTS = ("01", "04", "05", "08")
FAMILY = dict(zip(SUBJECTS, "aabbccdd", strict=True))
N_VOXELS = int(np.prod(SHAPE))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight subjects of four families, each with two sessions; tables are not in order."""
    folder = tmp_path_factory.mktemp("blocks")
    random = np.random.default_rng(5)
    (folder / "maps").mkdir()
    rows = []
    for subject in SUBJECTS:
        level = random.normal(size=SHAPE) + (subject in PATIENTS)
        for session in ("a", "b"):
            values = level + random.normal(size=SHAPE) + 0.8 * (session == "b")
            save(folder / "maps" / f"sub-{subject}_ses-{session}_effect.nii.gz", values)
            rows.append((subject, session, round(float(random.normal()), 3)))
    sessions = pd.DataFrame(rows, columns=["participant_id", "session_id", "dose"])
    sessions["visit_block"] = 1 + sessions["participant_id"].map(SUBJECTS.index)
    sessions.sample(frac=1, random_state=1).to_csv(folder / "sessions.tsv", sep="\t", index=False)
    participants = pd.DataFrame({"participant_id": SUBJECTS})
    participants["patient"] = [float(subject in PATIENTS) for subject in SUBJECTS]
    participants["family"] = [FAMILY[subject] for subject in SUBJECTS]
    participants["age"] = np.round(random.uniform(20, 60, len(SUBJECTS)), 1)
    participants["all"] = 1
    participants["house"] = [1 + "abcd".index(FAMILY[subject]) for subject in SUBJECTS]
    participants["sibling"] = 2 - np.arange(len(SUBJECTS)) % 2
    participants.iloc[::-1].to_csv(folder / "participants.tsv", sep="\t", index=False)
    save(folder / "mask.nii.gz", np.ones(SHAPE), "u1")
    return folder


def maps_of(study: Path, *sessions: str) -> list[Path]:
    return [
        study / "maps" / f"sub-{subject}_ses-{session}_effect.nii.gz"
        for subject in SUBJECTS
        for session in sessions
    ]


def data_of(paths: Iterable[Path]) -> Any:
    return np.stack([values_of(path).ravel() for path in paths])


def tables(study: Path) -> list[str | Path]:
    return ["--participants", study / "participants.tsv", "--sessions", study / "sessions.tsv"]


def t_of_last(X: Any, Y: Any) -> Any:
    """The t statistic of the last column, from the formula of a textbook."""
    inverse = np.linalg.inv(X.T @ X)
    beta = inverse @ X.T @ Y
    residual = Y - X @ beta
    variance = (residual**2).sum(axis=0) / (len(X) - X.shape[1])
    return beta[-1] / np.sqrt(variance * inverse[-1, -1])


def p_by_enumeration(X: Any, Y: Any, orders: Iterable[Any]) -> Any:
    """The corrected two-sided p of each voxel over all orders of the tested column.

    The other columns are the same in each order. Orders that give the same column count once.
    """
    columns = {tuple(X[list(order), -1]) for order in orders}
    nuisance = X[:, :-1]
    largest = [
        np.abs(t_of_last(np.column_stack([nuisance, column]), Y)).max() for column in columns
    ]
    observed = np.abs(t_of_last(X, Y))
    return (np.array(largest)[:, None] >= observed - 1e-9).mean(axis=0), len(columns)


def logp_of(folder: Path, name: str, letter: str = "T") -> Any:
    return values_of(folder / f"contrast-{name}_stat-logp_desc-max{letter}_statmap.nii.gz").ravel()


def check(result: Any, folder: Path, name: str, expected: Any, count: int) -> None:
    # Maps are stored in single precision.
    np.testing.assert_allclose(10.0 ** -logp_of(folder, name), expected, rtol=1e-6)
    done = json.loads(result.stdout)["contrasts"][0]["n_permutations"]
    assert done == count - 1
    assert len(np.unique(expected)) > 2


def test_p_of_whole_blocks(study: Path, tmp_path: Path) -> None:
    """Subjects with two maps each, in two groups: C(8, 4) = 70 orders of whole subjects."""
    out = tmp_path / "out"
    told = run_well(
        "permute", *arguments(study, out), *tables(study), "--formula", "~ patient",
        "--contrast", "patient", "--eb", "subject", "--block-permutation", "whole", "--n-perm",
        "1000", "--json",
    )  # fmt: skip
    paths = maps_of(study, "a", "b")
    patient = np.repeat([float(subject in PATIENTS) for subject in SUBJECTS], 2)
    X = np.column_stack([np.ones(16), patient])
    orders = (
        np.repeat(2 * np.array(order), 2) + np.tile([0, 1], 8)
        for order in itertools.permutations(range(8))
    )
    expected, count = p_by_enumeration(X, data_of(paths), orders)
    assert count == 70
    check(told, out, "patient", expected, count)
    facts = json.loads((out / "contrast-patient_stat-logp_desc-maxT_statmap.json").read_text())
    assert facts["Permutation"]["ExchangeabilityBlocks"][0] == "subject"
    assert facts["Permutation"]["BlockPermutation"] == "whole"
    assert "in whole blocks of equal sizes" in facts["Assumption"]


@pytest.mark.parametrize("blocks", ["subject", "visit_block", "participant_id"])
def test_p_within_blocks(study: Path, tmp_path: Path, blocks: str) -> None:
    """Two sessions of eight subjects, of whom each may have had them in the other order."""
    out = tmp_path / "out"
    told = run_well(
        "permute", *arguments(study, out), *tables(study), "--formula", "~ subject + dose",
        "--contrast", "dose", "--exchangeability-blocks", blocks, "--n-perm", "1000", "--json",
    )  # fmt: skip
    sessions = pd.read_csv(study / "sessions.tsv", sep="\t", dtype={"participant_id": str})
    sessions = sessions.sort_values(["participant_id", "session_id"])
    X = np.column_stack([np.kron(np.eye(8), np.ones((2, 1))), sessions["dose"]])
    orders = (
        2 * np.repeat(np.arange(8), 2) + np.stack([swaps, 1 - np.array(swaps)], axis=1).ravel()
        for swaps in itertools.product((0, 1), repeat=8)
    )
    expected, count = p_by_enumeration(X, data_of(maps_of(study, "a", "b")), orders)
    assert count == 2**8
    check(told, out, "dose", expected, count)
    facts = json.loads((out / "contrast-dose_stat-logp_desc-maxT_statmap.json").read_text())
    assert "permuted within each block" in facts["Assumption"]


def tree_orders() -> Iterable[Any]:
    """Families of two siblings may be exchanged, and so may the siblings."""
    for families in itertools.permutations(range(4)):
        for swaps in itertools.product((0, 1), repeat=4):
            pairs = [
                (2 * family + swap, 2 * family + 1 - swap)
                for family, swap in zip(families, swaps, strict=True)
            ]
            yield np.array(pairs).ravel()


def given_as(form: str, folder: Path, study: Path) -> list[str | Path]:
    """The same tree as columns of the participants' table, as a table, as PALM's file, as FSL's."""
    table = pd.read_csv(study / "participants.tsv", sep="\t", dtype={"participant_id": str})
    levels = ["all", "house", "sibling"]
    option = "--exchangeability-blocks"
    if form == "columns":
        return [word for level in levels for word in (option, level)]
    if form == "table":
        path = folder / "tree.csv"
        table[["participant_id", *levels]].sample(frac=1, random_state=2).to_csv(path, index=False)
        return [option, path]
    rows = table.sort_values("participant_id")[levels].to_numpy().tolist()
    if form in ("mat", "grp"):
        path, head = folder / f"EB.{form}", "/NumWaves 3\n/NumPoints 8\n/Matrix\n"
        path.write_text(head + "\n".join(" ".join(f"{x:e}" for x in row) for row in rows) + "\n")
        return [option, path]
    ending, between = {"palm": ("csv", ","), "text": ("txt", "  ")}[form]
    path = folder / f"EB.{ending}"
    path.write_text("\n".join(between.join(map(str, row)) for row in rows) + "\n")
    return [option, path]


@pytest.mark.parametrize("form", ["columns", "table", "palm", "text", "mat", "grp"])
def test_p_of_a_tree(study: Path, tmp_path: Path, form: str) -> None:
    out = tmp_path / "out"
    paths = maps_of(study, "a")
    told = run_well(
        "permute", *paths, "--mask", study / "mask.nii.gz", "--output", out, "--participants",
        study / "participants.tsv", "--formula", "~ age", "--contrast", "age", "--n-perm", "2000",
        *given_as(form, tmp_path, study), "--json",
    )  # fmt: skip
    table = pd.read_csv(study / "participants.tsv", sep="\t").sort_values("participant_id")
    X = np.column_stack([np.ones(8), table["age"]])
    expected, count = p_by_enumeration(X, data_of(paths), tree_orders())
    assert count == 4 * 3 * 2 * 2**4
    check(told, out, "age", expected, count)


def test_rows_of_a_file_are_in_the_order_of_the_maps(study: Path, tmp_path: Path) -> None:
    """MAPS from the last subject to the first, and the file's rows so too."""
    order = SUBJECTS[::-1]
    paths = [study / "maps" / f"sub-{subject}_ses-a_effect.nii.gz" for subject in order]
    (tmp_path / "EB.txt").write_text("".join(f"{ord(FAMILY[each])}\n" for each in order))
    results = []
    for name, blocks in (("file", tmp_path / "EB.txt"), ("column", "family")):
        told = run_well(
            "permute", *paths, "--mask", study / "mask.nii.gz", "--output", tmp_path / name,
            "--participants", study / "participants.tsv", "--formula", "~ age", "--contrast",
            "age", "--n-perm", "100", "--eb", blocks, "--json",
        )  # fmt: skip
        assert json.loads(told.stdout)["contrasts"][0]["n_permutations"] == 2**4 - 1
        results.append(logp_of(tmp_path / name, "age"))
    np.testing.assert_array_equal(*results)
    assert len(np.unique(results[0])) > 2


@pytest.mark.filterwarnings("ignore:all .* different:UserWarning")
def test_the_maps_are_those_of_python(study: Path, tmp_path: Path) -> None:
    """Whole families under a random intercept, from either command; signs of whole families."""
    paths = maps_of(study, "a", "b")
    design = pd.DataFrame(
        {"Intercept": 1.0, "patient": np.repeat([float(s in PATIENTS) for s in SUBJECTS], 2)}
    )
    family = np.repeat([FAMILY[subject] for subject in SUBJECTS], 2)
    for command, number, flip in (
        ("permute", "--n-perm", None),
        ("fit", "--permute", None),
        ("permute", "--n-perm", True),
    ):
        out = tmp_path / f"{command}{flip}"
        run_well(
            command, *arguments(study, out), *tables(study), "--formula",
            "~ patient + (1 | participant_id)", "--contrast", "patient", "--eb", "family",
            "--block-permutation", "whole", number, "20", *(["--sign-flip"] if flip else []),
        )  # fmt: skip
        expected = non_parametric_inference(
            paths,
            design_matrix=design,
            second_level_contrast="patient",
            mask=study / "mask.nii.gz",
            model="repeated measures",
            subjects=np.repeat(SUBJECTS, 2),
            exchangeability_blocks=family,
            block_permutation="whole",
            sign_flip=flip,
            n_perm=20,
            two_sided_test=True,
            random_state=0,
        )
        image: Any = expected
        np.testing.assert_array_equal(logp_of(out, "patient"), np.asarray(image.dataobj).ravel())
        facts = json.loads((out / "contrast-patient_stat-logp_desc-maxT_statmap.json").read_text())
        assert facts["SignFlips"] is bool(flip)
        assert facts["Permutation"].get("SignFlip") is flip
        said = "one sign for all images of a block" if flip else "in whole blocks of equal sizes"
        assert said in facts["Assumption"]


def test_other_blocks_are_another_test(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    common = [
        "permute", *arguments(study, out), *tables(study), "--formula", "~ subject + dose",
        "--contrast", "dose", "--n-perm", "20",
    ]  # fmt: skip
    run_well(*common, "--eb", "subject")
    again = run_well(*common, "--eb", "subject")
    assert "permutations skipped" in again.output
    other = run(*common, "--eb", "visit_block")
    assert other.exit_code == 1
    assert "(--exchangeability-blocks subject then, visit_block now)" in other.output
    whole = run(*common, "--eb", "subject", "--sign-flip")
    assert "(--sign-flip no then, yes now)" in whole.output


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (("--block-permutation", "whole"), 2, "has no effect without --exchangeability-blocks"),
        (("--eb", "tribe"), 1, "--exchangeability-blocks is 'tribe', which is no column"),
        (("--eb", "nowhere.csv"), 2, "'nowhere.csv' does not exist"),
        (("--eb", "house", "--eb", "house"), 2, "house is given 2 times"),
        (
            ("--eb", "all", "--eb", "house", "--block-permutation", "whole"),
            2,
            "--block-permutation whole is for one column of blocks",
        ),
        (("--eb", "all", "--eb", "family"), 1, "'family' has 'a' for 01"),
        (
            ("--eb", "house", "--eb", "sibling"),
            1,
            "1 in the row of '01' and 2 in the row of '03' of column 1",
        ),
        (("--eb", "all", "--eb", "all2"), 1, "'all2', which is no column"),
        (
            ("--eb", "age"),
            1,
            "--exchangeability-blocks make the test impossible: the tested effect does not vary "
            "within any block; give --block-permutation whole to permute whole blocks, or "
            "--sign-flip if errors are symmetric",
        ),
    ],
)
def test_refusals(study: Path, tmp_path: Path, more: tuple[str, ...], code: int, told: str) -> None:
    result = run(
        "permute", *maps_of(study, "a"), "--mask", study / "mask.nii.gz", "--output",
        tmp_path / "out", "--participants", study / "participants.tsv", "--formula", "~ age",
        "--contrast", "age", "--n-perm", "20", *more,
    )  # fmt: skip
    assert result.exit_code == code, result.output
    assert told in " ".join(result.output.split()), result.output
    assert not list(tmp_path.glob("out/contrast*"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1\n" * 7, "has 7 rows, but MAPS are 8 maps"),
        ("1 1\n" * 7 + "1\n", "line 8, has 1 number, but there are 2"),
        ("1\n" * 7 + "one\n", "line 8, has 'one' as number 1"),
        ("1 1\n" * 7 + "1 0\n", "'column 2' has '0' for 08"),
        ("1 1\n" * 7 + "1 1.5\n", "'column 2' has '1.5' for 08"),
        ("1 1\n" * 7 + "2 1\n", "2 in the row of '08' of column 1"),
        ("", "is empty; give a file with numbers"),
    ],
)
def test_refused_files(study: Path, tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "EB.txt"
    path.write_text(text)
    result = run(
        "permute", *maps_of(study, "a"), "--mask", study / "mask.nii.gz", "--output",
        tmp_path / "out", "--participants", study / "participants.tsv", "--formula", "~ age",
        "--contrast", "age", "--n-perm", "20", "--eb", path,
    )  # fmt: skip
    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.output
    assert told in " ".join(result.output.split()), result.output


def test_tables_that_lack_a_row(study: Path, tmp_path: Path) -> None:
    path = tmp_path / "blocks.tsv"
    rows = [f"{subject}\t{FAMILY[subject]}" for subject in SUBJECTS[:-1]]
    path.write_text("participant_id\tfamily\n" + "\n".join(rows) + "\n")
    result = run(
        "permute", *maps_of(study, "a"), "--mask", study / "mask.nii.gz", "--output",
        tmp_path / "out", "--participants", study / "participants.tsv", "--formula", "~ age",
        "--contrast", "age", "--n-perm", "20", "--eb", path,
    )  # fmt: skip
    assert result.exit_code == 1
    assert "has no row for 08; give a row for each map" in " ".join(result.output.split())


def test_several_maps_need_blocks_or_a_model(study: Path, tmp_path: Path) -> None:
    """Least squares with blocks may be permuted; without them, and for p of a fit, it may not."""
    common = [*arguments(study, tmp_path / "out"), *tables(study), "--formula", "~ patient"]
    common += ["--contrast", "patient"]
    alone = run("permute", *common, "--n-perm", "20")
    assert alone.exit_code == 1
    assert "say by --exchangeability-blocks which maps may be exchanged" in " ".join(
        alone.output.split()
    )
    fitted = run("fit", *common, "--permute", "20", "--eb", "subject")
    assert fitted.exit_code == 1
    assert "would count them as independent" in " ".join(fitted.output.split())
    without = run("fit", *common, "--eb", "subject")
    assert without.exit_code == 2
    assert "--exchangeability-blocks has no effect without --permute N" in " ".join(
        without.output.split()
    )


def test_blocks_that_mix_subjects_of_a_random_intercept(study: Path, tmp_path: Path) -> None:
    result = run(
        "permute", *arguments(study, tmp_path / "out"), *tables(study), "--formula",
        "~ patient + (1 | participant_id)", "--contrast", "patient", "--n-perm", "20", "--eb",
        "family",
    )  # fmt: skip
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert "--exchangeability-blocks mix the images of several subjects" in told
    assert "--block-permutation whole" in told


def test_blocks_that_mix_subjects_of_least_squares(study: Path, tmp_path: Path) -> None:
    common = [
        "permute", *arguments(study, tmp_path / "out"), *tables(study), "--formula", "~ dose",
        "--contrast", "dose", "--n-perm", "20", "--eb", "family",
    ]  # fmt: skip
    result = run(*common)
    assert result.exit_code == 1
    assert (
        "--exchangeability-blocks mix the images of several subjects (those of '01' and '02', for "
        "one), whose errors resemble each other"
    ) in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()
    run_well(*common, "--block-permutation", "whole")


def test_a_derivative(raw: Path, tmp_path: Path) -> None:
    """Of ``groupglm bids``: a column of participants.tsv, or a table; a file in no order is not."""
    table = pd.read_csv(raw / "participants.tsv", sep="\t")
    table["pair"] = [f"pair {k // 2}" for k in range(len(table))]
    table.to_csv(tmp_path / "participants.tsv", sep="\t", index=False)
    table[["participant_id", "pair"]].to_csv(tmp_path / "pairs.csv", index=False)
    (tmp_path / "pairs.txt").write_text("1\n" * len(table))
    common = [
        "bids", raw / "derivatives" / "fitlins", tmp_path / "group", "--contrast", "facesGtHouses",
        "--filter", "node=subjectLevel", "--participants", tmp_path / "participants.tsv",
        "--formula", "~ age", "--second-level-contrast", "age", "--permute", "30", "--overwrite",
    ]  # fmt: skip
    found = []
    for blocks in ("pair", tmp_path / "pairs.csv"):
        run_well(*common, "--exchangeability-blocks", blocks)
        (path,) = (tmp_path / "group").glob("*_stat-logp_desc-maxT_statmap.nii.gz")
        found.append(values_of(path))
    np.testing.assert_array_equal(*found)
    run_well(*common)
    assert (values_of(path) != found[0]).any()
    refused = run(*common, "--exchangeability-blocks", tmp_path / "pairs.txt")
    assert refused.exit_code == 1
    assert "does not name subjects" in " ".join(refused.output.split())
