# SPDX-License-Identifier: BSD-3-Clause
"""What can be asked of a report, and what is refused."""

from __future__ import annotations

import base64
import html
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from groupglm import SecondLevelModel
from groupglm.design.weights_in_words import describe_weights
from groupglm.errors import NotEstimableError
from groupglm.estimator.reporting import make_report
from groupglm.plotting.volume import template
from groupglm.report.options import named_contrasts
from reference.pages import AFFINE, SHAPE, N, Page, fitted_files, small_study


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SecondLevelModel:
    """Return a model fitted to files, with an effect of the group in one place."""
    return fitted_files(tmp_path_factory.mktemp("images"))


@pytest.mark.parametrize(
    ("contrasts", "expected"),
    [
        (None, {}),
        ("a", {"a": [1, 0]}),
        ("a - b", {"a - b": [1, -1]}),
        (["a", "b"], {"a": [1, 0], "b": [0, 1]}),
        ([1, -1], {"a - b": [1, -1]}),
        (np.array([0.5, 0]), {"0.5*a": [0.5, 0]}),
        ([np.array([1, 0]), [0, 2]], {"a": [1, 0], "2*b": [0, 2]}),
        (np.eye(2), {"a; b": [[1, 0], [0, 1]]}),
        (np.array([[1, 0]]), {"a": [1, 0]}),
        ({"mine": "b", "both": ["a", "b"]}, {"mine": [0, 1], "both": [[1, 0], [0, 1]]}),
        ([[1, 0.1234567], [1, 0.1234568]], {"a + 0.123457*b": [1, 0.1234567],
                                            "a + 0.123457*b (2)": [1, 0.1234568]}),
    ],
)  # fmt: skip
def test_contrasts_in_every_form(contrasts: Any, expected: dict[str, Any]) -> None:
    found = named_contrasts(contrasts, ["a", "b"])
    assert {name: own.weights.tolist() for name, own in found.items()} == expected


def test_expressions_of_weights() -> None:
    assert describe_weights(np.array([-1.0, 0, 2.5]), ["a", "b", "c"]) == "-a + 2.5*c"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contrasts": "weight"}, "contrast 'weight': .*weight"),
        ({"contrasts": {"x": [1, 2]}}, "contrast x: .*3 columns"),
        ({"contrasts": []}, "contrasts is empty"),
        ({"contrasts": {}}, "contrasts is an empty mapping"),
        ({"alpha": 3.0}, "alpha is 3.0; it is a probability"),
        ({"alpha": -0.1}, "alpha is -0.1; it is a probability"),
        ({"alpha": "0.05"}, "alpha is '0.05'; 'alpha' must be of type int or float"),
        (
            {"threshold": -3.0, "height_control": None, "two_sided": True},
            "threshold is -3.0; it is a z score",
        ),
        ({"threshold": 0, "height_control": None}, "threshold is 0.0; it is a z score"),
        (
            {"threshold": np.nan, "height_control": None},
            "nan; 'threshold' must be a finite",
        ),
        (
            {"height_control": "FDR"},
            "'FDR'; 'height_control' must be one of 'fpr', 'fdr'",
        ),
        (
            {"cluster_threshold": -1},
            "cluster_threshold is -1; 'cluster_threshold' must be a whole number, at",
        ),
        (
            {"cluster_threshold": 2.5},
            "2.5; 'cluster_threshold' must be of type int",
        ),
        ({"min_distance": -1}, "min_distance is -1.0; 'min_distance' must be a distance in mm"),
        (
            {"plot_type": "surface"},
            "'surface'; 'plot_type' must be one of 'slice' or 'glass'",
        ),
        ({"display_mode": "lr"}, "views of a hemisphere need a glass brain"),
        ({"display_mode": "q", "plot_type": "glass"}, "display_mode is 'q'"),
        ({"report_dims": (800,)}, "report_dims is .800,.; 'report_dims' must be"),
        (
            {"report_dims": (800, 0)},
            r"is 0; 'report_dims\[1\]' must be a whole number",
        ),
        ({"cut_coords": [1, 2], "display_mode": "ortho"}, "cut_coords has 2 numbers"),
        ({"bg_img": "/no/such.nii"}, "/no/such.nii: File not found"),
    ],
)
def test_nonsense_is_refused(
    model: SecondLevelModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        model.generate_report(**{"contrasts": "age", **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"title": 3}, "title is a int; 'title' must be of type str or None"),
        ({"two_sided": "yes"}, "two_sided is 'yes'; 'two_sided' must be of type bool"),
    ],
)
def test_options_of_another_type_are_refused(
    model: SecondLevelModel, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        model.generate_report("age", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 2.5}, "threshold=2.5 is only used when height_control is None"),
        ({"alpha": 0.05, "height_control": None}, "alpha=0.05 has no effect with height_control="),
        (
            {"plot_type": "glass", "cut_coords": 3},
            "cut_coords has no effect with plot_type='glass'",
        ),
    ],
)
def test_what_has_no_effect_is_said(
    model: SecondLevelModel, options: dict[str, Any], message: str
) -> None:
    with pytest.warns(UserWarning, match=message) as record:
        model.generate_report("age", bg_img=None, **options)
    assert [Path(warning.filename) for warning in record] == [Path(__file__)] * len(record)


@pytest.mark.parametrize("contrasts", [None, "age"])
def test_the_page_of_a_model_that_is_not_fitted_says_so(contrasts: Any) -> None:
    with pytest.warns(UserWarning, match="This estimator has not been fit yet"):
        report = SecondLevelModel(smoothing_fwhm=6).generate_report(contrasts, title="Mine <b>")
    page = Page(report.get_standalone())
    assert "Mine <b>" in page.text
    assert "has not been fit yet" in page.text
    assert re.search(r"smoothing_fwhm\s*6", page.text)
    with pytest.raises(ValueError, match="height_control is 'knights'"):
        SecondLevelModel().generate_report(height_control="knights")  # type: ignore[arg-type]


def test_a_model_without_reports_makes_a_page_that_says_so() -> None:
    images, design = small_study()
    model = SecondLevelModel(reports=False).fit(images, design_matrix=design)
    with pytest.warns(UserWarning, match="Report generation not enabled"):
        text = Page(model.generate_report("age").get_standalone()).text
    assert "set reports=True" in text
    assert "z =" not in text
    with pytest.raises(ValueError, match="reports is 'no'"):
        SecondLevelModel(reports="no").fit(images, design_matrix=design)  # type: ignore[arg-type]


def test_a_negative_threshold_is_for_negative_effects(model: SecondLevelModel) -> None:
    z = model.compute_contrast("-group").get_fdata()
    below: dict[str, Any] = {"height_control": None, "threshold": -3.0}
    text = Page(model.generate_report("-group", **below).get_standalone()).text
    assert "shown where z < \N{MINUS SIGN}3.000." in text
    assert f"The smallest z = {z.min():.3f}".replace("-", "\N{MINUS SIGN}") in text
    # The mirror image of the other contrast: as many clusters and voxels.
    above: dict[str, Any] = {"height_control": None, "threshold": 3.0}
    other = Page(model.generate_report("group", **above).get_standalone()).text
    n_voxels = int((z <= -3.0).sum())
    assert n_voxels > 10
    found = re.search(rf"(\w+ clusters?), {n_voxels} voxels\. The largest", other)
    assert found is not None
    assert f"{found[1]}, {n_voxels} voxels. The smallest" in text


def test_nothing_survives_an_error_rate_of_zero(model: SecondLevelModel) -> None:
    for control in ("fpr", "fdr", "bonferroni"):
        report = model.generate_report("group", alpha=0, height_control=control)
        assert "Nothing survived." in Page(report.get_standalone()).text


def test_nothing_survives_an_infinite_threshold_and_a_warning_says_so(
    model: SecondLevelModel,
) -> None:
    with pytest.warns(UserWarning, match="threshold is infinite.*no finite value survives"):
        report = model.generate_report("group", height_control=None, threshold=np.inf)
    assert "Nothing survived." in Page(report.get_standalone()).text


def test_a_contrast_that_cannot_be_estimated_is_refused() -> None:
    images, design = small_study()
    design = design.assign(twin=design["group"])
    with pytest.warns(UserWarning, match="linearly dependent"):
        model = SecondLevelModel().fit(images, design_matrix=design)
    with pytest.raises(NotEstimableError, match="'group'"):
        model.generate_report("group")
    text = Page(model.generate_report("age").get_standalone()).text
    assert "The design has not full rank: columns 'group' and 'twin'" in text
    assert "rank3 of 4 columns" in text


@pytest.mark.parametrize("plot_type", ["slice", "glass"])
def test_every_view_makes_a_report(
    model: SecondLevelModel, plot_type: Literal["slice", "glass"]
) -> None:
    from groupglm.plotting.volume.panels import GLASS_MODES, SLICE_MODES

    for mode in SLICE_MODES if plot_type == "slice" else GLASS_MODES:
        report = model.generate_report(
            "group",
            bg_img=None,
            plot_type=plot_type,
            display_mode=mode,
        )
        assert f"'{mode}'" in Page(report.get_standalone()).text


def test_one_tail_is_one_tail(model: SecondLevelModel) -> None:
    from scipy.stats import norm

    one = Page(model.generate_report("-group").get_standalone()).text
    assert f"shown where z > {norm.isf(0.001):.3f}." in one
    two = Page(model.generate_report("-group", two_sided=True).get_standalone()).text
    assert f"shown where |z| > {norm.isf(0.0005):.3f}." in two
    # The F statistic has all directions in one tail, so that it is never split.
    both = Page(model.generate_report(np.eye(3)[:2]).get_standalone()).text
    assert "group; age; F(2, 13)." in both
    assert f"shown where z > {norm.isf(0.001):.3f}." in both


def test_maps_of_several_kinds_are_chosen(tmp_path: Path) -> None:
    images, design = small_study()
    rows = []
    for number, image in enumerate(images):
        for kind, factor in (("one", 1.0), ("two", 2.0)):
            path = tmp_path / f"{number:02d}_{kind}.nii"
            nib.Nifti1Image(np.asarray(image.dataobj) * factor, AFFINE).to_filename(path)  # type: ignore[no-untyped-call]
            rows.append((f"sub-{number:02d}", kind, str(path)))
    table = pd.DataFrame(rows, columns=["subject_label", "map_name", "effects_map_path"])
    labelled = design.assign(subject_label=[f"sub-{number:02d}" for number in range(N)])
    model = SecondLevelModel().fit(table, design_matrix=labelled)
    text = model.generate_report("group", first_level_contrast="two").get_standalone()
    assert "15_two.nii" in text
    assert "15_one.nii" not in text
    # The program on the page is about the files that were chosen.
    assert text[text.index('<pre id="script">') :].count("_two.nii&#39;") == N


def _no_template(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(home))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)


def test_without_the_template_a_mask_elsewhere_is_drawn_and_the_page_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _no_template(monkeypatch, tmp_path / "nothing")
    images, design = small_study()
    moved = AFFINE.copy()
    moved[2, 3] += 100
    elsewhere = [nib.Nifti1Image(image.get_fdata(), moved) for image in images]  # type: ignore[no-untyped-call]
    model = SecondLevelModel().fit(elsewhere, design_matrix=design)
    text = Page(model.generate_report("group").get_standalone()).text
    assert "so that the outline of the mask is drawn; install the extra" in text


def test_templateflow_comes_first(
    model: SecondLevelModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / template._TEMPLATEFLOW.format(res="01")
    path.parent.mkdir(parents=True)
    (path.parent / path.name.replace("res-01", "res-02")).touch()  # announced, not downloaded
    head = nib.Nifti1Image(np.ones((60, 60, 60), np.float32), np.diag([4.0, 4, 4, 1]))  # type: ignore[no-untyped-call]
    head.to_filename(path)
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path))
    text = Page(model.generate_report("group").get_standalone()).text
    # That picture's brain begins at the origin, and most of the mask does not.
    assert "The background is not the MNI152NLin2009cAsym brain template of TemplateFlow's" in text
    assert "of the mask lies outside a brain in MNI space, so that the outline" in text
    path.write_bytes(path.read_bytes()[:200])  # cut short while it was downloaded
    assert "ICBM 2009a" in Page(model.generate_report("group").get_standalone()).text


def test_the_map_of_an_f_contrast_without_survivors_has_no_blue(model: SecondLevelModel) -> None:
    """Small F have a negative z, and are no negative effect."""
    columns = [str(name) for name in model.design_matrix_.columns]
    pages = {
        "F": model.generate_report([columns[:2]], height_control="bonferroni", alpha=1e-12),
        "t": model.generate_report(columns[0], height_control="bonferroni", alpha=1e-12),
    }
    blue = {}
    for kind, page in pages.items():
        text = page.get_standalone()
        assert "Nothing survived" in text
        assert ("F has one tail" in text) == (kind == "F")
        source = re.findall(r'src="data:image/png;base64,([^"]+)"', text)[-1]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("RGB"))
        blue[kind] = int(np.count_nonzero(pixels[..., 2] > pixels[..., 0].astype(int) + 30))
    assert blue["F"] == 0
    assert blue["t"] > 100


def test_control_characters_of_names_are_written_out_on_the_page() -> None:
    images, design = small_study()
    name = "age\x1b[2J\x07\u202e"
    model = SecondLevelModel().fit(images, design_matrix=design.rename(columns={"age": name}))
    command = shlex.join(["groupglm", "fit", "--contrast", f"it's\\{name}", "two words"])
    page = make_report(model, {"contrasts": [0, 1, 0]}, command=command).get_standalone()
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page) == []
    assert r"age\x1b[2J\x07\u202e" in page
    shown = re.search(r'<pre id="command"><code>(.*?)</code>', page, flags=re.DOTALL)
    assert shown is not None
    program = f"printf '%s\\n' {html.unescape(shown[1])}"
    # A shell reads the words that were typed.
    found = subprocess.run(  # noqa: S603
        ["bash", "-c", program], check=True, capture_output=True, env={"LC_ALL": "C.UTF-8"}  # noqa: S607
    )  # fmt: skip
    assert found.stdout.decode().split("\n")[:-1] == shlex.split(command)


def test_a_background_of_ones_own(model: SecondLevelModel, tmp_path: Path) -> None:
    path = tmp_path / "mine.nii.gz"
    nib.Nifti1Image(np.ones(SHAPE), AFFINE).to_filename(path)  # type: ignore[no-untyped-call]
    images: list[Any] = [path, nib.load(path)]
    for image in images:
        text = Page(model.generate_report("group", bg_img=image).get_standalone()).text
        assert "The background is the image mine.nii.gz, given." in text


def test_nilearn_is_looked_at_but_not_imported() -> None:
    code = (
        "import sys\n"
        "from groupglm.plotting.volume.template import find_background\n"
        "found = find_background('MNI152TEMPLATE', None)\n"
        "assert found is not None and not found.is_outline\n"
        "assert 'nilearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)  # noqa: S603
