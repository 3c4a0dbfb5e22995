# SPDX-License-Identifier: BSD-3-Clause
"""Lists of contrasts in files, as FSL and SPM write them and as tables; what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groupglm import SecondLevelModel, load_contrasts
from groupglm.errors import ArgumentError

COLUMNS = ["control", "patient", "age"]

# As FEAT writes it: tabs, numbers in exponents, a blank before the end of a line.
CON = """/ContrastName1\tpatients > controls
/ContrastName2\tage
/NumWaves\t3
/NumContrasts\t2
/PPheights\t\t1.000000e+00\t4.310000e+01
/RequiredEffect\t\t1.215\t0.052

/Matrix
-1.000000e+00 1.000000e+00 0.000000e+00
0.000000e+00 0.000000e+00 1.000000e+00
""".replace("0\n", "0 \n")
FTS = "/NumWaves\t2\n/NumContrasts\t2\n\n/Matrix\n1 1 \n0 1 \n"
# As Text2Vest writes any matrix.
VEST = "/NumWaves\t3\n/NumPoints\t2\n/PPheights\t\t1 1 \n\n/Matrix\n-1 1 0 \n0 0 1 \n"


def _file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {name: weights.tolist() for name, weights in found.items()}


def test_contrasts_and_f_tests_of_fsl(tmp_path: Path) -> None:
    con, fts = _file(tmp_path, "design.con", CON), _file(tmp_path, "design.fts", FTS)
    t = {"patients > controls": [-1, 1, 0], "age": [0, 0, 1]}
    assert _plain(load_contrasts(con, COLUMNS)) == t
    both = load_contrasts(str(con), COLUMNS, f_tests=fts)
    assert _plain(both) == {**t, "F1": [[-1, 1, 0], [0, 0, 1]], "F2": [[0, 0, 1]]}
    windows = _file(tmp_path, "windows.con", CON.replace("\n", "\r\n"))
    assert _plain(load_contrasts(windows, COLUMNS)) == t
    for ending in (".con", ".mat"):
        vest = load_contrasts(_file(tmp_path, f"vest{ending}", VEST), COLUMNS)
        assert _plain(vest) == {"t1": [-1, 1, 0], "t2": [0, 0, 1]}


def test_vectors_of_spm(tmp_path: Path) -> None:
    text = """% effects of interest
-1 1 0
[0 0 1];   # age
patients > controls = [-1, 1, 0]
groups = [1 -1 0
          0  1 0]

any = 1 0 0; 0 1 0
"""
    found = load_contrasts(_file(tmp_path, "contrasts.txt", text), COLUMNS)
    assert _plain(found) == {
        "t1": [-1, 1, 0],
        "t2": [0, 0, 1],
        "patients > controls": [-1, 1, 0],
        "groups": [[1, -1, 0], [0, 1, 0]],
        "any": [[1, 0, 0], [0, 1, 0]],
    }


@pytest.mark.parametrize(("ending", "separator"), [(".tsv", "\t"), (".csv", ",")])
def test_tables_have_their_columns_by_name(tmp_path: Path, ending: str, separator: str) -> None:
    rows = ["name age patient control", "NA 1 0 0", "both 0 1 -1", "01 0 0 2", "both 1 0 0"]
    text = "\n".join(rows).replace(" ", separator)
    found = load_contrasts(_file(tmp_path, f"contrasts{ending}", text), COLUMNS)
    assert _plain(found) == {
        "NA": [0, 0, 1],
        "both": [[-1, 1, 0], [0, 0, 1]],
        "01": [2, 0, 0],
    }


def test_columns_of_a_formula_may_be_written_in_any_way(tmp_path: Path) -> None:
    path = _file(tmp_path, "contrasts.tsv", "name\tintercept\tgroup[T.b]\nb\t0\t1\n")
    found = load_contrasts(path, ["Intercept", "C(group)[T.b]"])
    assert _plain(found) == {"b": [0, 1]}


def test_each_is_a_contrast_for_a_model(tmp_path: Path) -> None:
    import nibabel

    rng = np.random.default_rng(0)
    images: Any = [
        nibabel.Nifti1Image(rng.normal(size=(2, 2, 2)), np.eye(4))  # type: ignore[no-untyped-call]
        for _ in range(8)
    ]
    mask: Any = nibabel.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4))  # type: ignore[no-untyped-call]
    design = pd.DataFrame(
        {"control": [1.0, 0] * 4, "patient": [0, 1.0] * 4, "age": rng.normal(size=8)}
    )
    model = SecondLevelModel(mask_img=mask).fit(images, design_matrix=design)
    con, fts = _file(tmp_path, "design.con", CON), _file(tmp_path, "design.fts", FTS)
    found = load_contrasts(con, design, f_tests=fts)
    for name, as_text in (
        ("patients > controls", "patient - control"),
        ("F1", ["patient - control", "age"]),
    ):
        np.testing.assert_array_equal(
            model.compute_contrast(found[name]).get_fdata(),
            model.compute_contrast(as_text).get_fdata(),
        )


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(
            st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=2, max_size=2
        ).filter(any),
        min_size=1,
        max_size=5,
    )
)
def test_every_finite_number_is_read_exactly(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]]
) -> None:
    folder = tmp_path_factory.mktemp("numbers")
    lines = [" ".join(map(repr, row)) for row in rows]
    vest = _file(folder, "a.con", "/Matrix\n" + "\n".join(lines))
    text = _file(folder, "a.txt", "\n".join(lines))
    for path in (vest, text):
        assert [*_plain(load_contrasts(path, ["a", "b"])).values()] == rows


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.con", CON.replace("NumWaves\t3", "NumWaves\t2"), "says /NumWaves '2', but .* 3 col"),
        ("a.con", CON.replace("Contrasts\t2", "Contrasts\t3"), "/NumContrasts '3', but .* 2 rows"),
        ("a.con", "/Matrix\n1 0\n", "has 2 numbers a contrast, but the design has 3 columns"),
        ("a.con", "/Matrix\n1 0 0\n1 0\n", "line 3, has 2 numbers, but there are 3 in the rows"),
        ("a.con", "/Matrix\n1 nan 0\n", "line 2, has 'nan' as number 2; give a finite number"),
        ("a.con", "/Matrix\n1 1e999 0\n", "has '1e999' as number 2"),
        ("a.con", "/Matrix\n1 1_0 0\n", "has '1_0' as number 2"),
        ("a.con", "/Matrix\n1 age 0\n", "has 'age' as number 2"),
        ("a.con", "/Matrix\n1 0,5 0\n", "decimals have a point, not a comma"),
        ("a.con", "/Matrix\n0 0 0\n", "contrast 't1': Contrast is null"),
        ("a.con", "/Matrix\n", "has no number below /Matrix"),
        ("a.con", "/NumWaves 3\n", "has no line /Matrix"),
        ("a.con", "1 0 0\n", "line 1, is '1 0 0', but lines above /Matrix begin with /"),
        ("a.con", "/Waves 3\n/Matrix\n1 0 0\n", "is '/Waves', which is not known; known are"),
        ("a.con", "/NumWaves 3\n/NumWaves 3\n", "is /NumWaves for the second time"),
        ("a.con", "/Matrix\n1 0 0\n/Matrix\n1 0 0\n", "has 1 number, but there are 3"),
        ("a.con", "/ContrastName2 b\n/Matrix\n1 0 0\n", "has /ContrastName2, but 1 contrast"),
        ("a.con", CON.replace("age", "patients > controls"), "several contrasts called"),
        ("a.con", "", "is empty"),
        ("a.con", " \n\n", "is empty"),
        ("a.con", b"\xff\xfe/\0M\0", "is in UTF-16"),
        ("a.con", b"/ContrastName1 \xe9\n/Matrix\n1 0 0", "is not in UTF-8"),
        ("SPM.mat", b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + b"\0" * 99, "of MATLAB, such as"),
        ("SPM.mat", b"\x89HDF\r\n\x1a\n", "a binary file"),
        ("a.txt", b"1 0 0\0\0", "is a binary file; write its numbers into a text file"),
        ("a.con", b"\x1f\x8b\x08abc", "is a compressed file"),
        ("a.txt", "1 0\n", "has 2 numbers, but there are 3 columns of the design"),
        ("a.txt", "1 0 0; 1 0\n", "has 2 numbers"),
        ("a.txt", "a = [1 0 0\n", "line 1, opens a bracket that is not closed"),
        ("a.txt", "[1 0] 0\n", "with brackets inside of it"),
        ("a.txt", "a = ;\n", "has no number"),
        ("a.txt", "% nothing\n", "has no contrast"),
        ("a.txt", "a = 1 0 0\na = 0 1 0\n", "several contrasts called 'a'"),
        ("a.txt", "__import__('os').system('true')\n", "has 1 number, but"),
        ("a.tsv", "name\tcontrol\tpatient\nx\t1\t0\n", "lacks the design's 'age'"),
        ("a.tsv", "name\tcontrol\tpatient\tages\nx\t1\t0\t0\n", "'age' is near 'ages'"),
        ("a.tsv", "control\tpatient\tage\n1\t0\t0\n", "as its first column, a column of"),
        ("a.tsv", "name\tcontrol\tpatient\tage\n", "has a header, and no row below it"),
        ("a.tsv", "name\tcontrol\tpatient\tage\nx\t1\t0\tn/a\n", "row 1, has nothing as number 3"),
        ("a.tsv", "name\tcontrol\tpatient\tage\nx\t1\t0\ttwo\n", "row 1, has 'two' as number 3"),
        ("a.tsv", "name\tcontrol\tpatient\tage\n \t1\t0\t0\n", "row 1, has no name"),
        ("a.csv", "name\tcontrol\nx\t1\n", "is separated by tabs"),
        ("a.csv", "", "is empty"),
        ("a.doc", "1 0 0", "must be a file of contrasts that ends in .con, .mat"),
        ("a.fts", FTS, "it holds F tests: give it as f_tests, beside its .con"),
    ],
)
def test_what_is_no_list_of_contrasts_is_refused(
    tmp_path: Path, name: str, content: str | bytes, told: str
) -> None:
    path = _file(tmp_path, name, content)
    with pytest.raises(ArgumentError, match=told) as refused:
        load_contrasts(path, COLUMNS)
    assert str(path) in str(refused.value)
    assert refused.value.argument == "path"


def test_a_column_of_the_design_is_given_once(tmp_path: Path) -> None:
    path = _file(tmp_path, "a.tsv", "name\tIntercept\tintercept\nx\t1\t0\n")
    with pytest.raises(ArgumentError, match="several columns for 'Intercept'; keep one of each"):
        load_contrasts(path, ["Intercept"])


@pytest.mark.parametrize(
    ("fts", "told"),
    [
        ("/Matrix\n1 1 1\n", "has 3 numbers a row, but .* has 2 contrasts"),
        ("/Matrix\n1 2\n", "has the number 2; write 1 for a contrast"),
        ("/Matrix\n0 0\n", "F test 1 holds no contrast"),
    ],
)
def test_f_tests_of_other_contrasts_are_refused(tmp_path: Path, fts: str, told: str) -> None:
    con = _file(tmp_path, "design.con", CON)
    with pytest.raises(ArgumentError, match=told) as refused:
        load_contrasts(con, COLUMNS, f_tests=_file(tmp_path, "design.fts", fts))
    assert refused.value.argument == "f_tests"
    with pytest.raises(ArgumentError, match=r"f_tests is .*must be FSL's \.fts"):
        load_contrasts(con, COLUMNS, f_tests=con)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.con"
    with path.open("wb") as file:
        file.truncate(2**40)  # a hole, which takes no space
    with pytest.raises(ArgumentError, match="has 1099511627776 bytes, more than 67108864"):
        load_contrasts(path, COLUMNS)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.con. does not exist"):
        load_contrasts(tmp_path / "none.con", COLUMNS)
    (tmp_path / "folder.con").mkdir()
    with pytest.raises(ArgumentError, match="a folder, not a file"):
        load_contrasts(tmp_path / "folder.con", COLUMNS)


def test_a_design_of_fsl_is_a_design(tmp_path: Path) -> None:
    from groupglm.design.matrix import load_design_matrix

    frame = load_design_matrix(_file(tmp_path, "design.mat", VEST))
    assert list(frame.columns) == ["EV1", "EV2", "EV3"]
    assert frame.to_numpy().tolist() == [[-1, 1, 0], [0, 0, 1]]
    with pytest.raises(ArgumentError, match="of MATLAB") as refused:
        load_design_matrix(_file(tmp_path, "SPM.mat", b"MATLAB 5.0 MAT-file\0"))
    assert refused.value.argument == "design_matrix"
