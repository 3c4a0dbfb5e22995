# SPDX-License-Identifier: BSD-3-Clause
"""A figure is seen in a notebook: IPython itself formats the value of a cell."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import textwrap
from typing import Any

import matplotlib.figure
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage
from PIL import Image

from groupglm import plotting
from reference.meshes import folded


def _figures() -> dict[str, Any]:
    values = np.zeros((9, 9, 9), np.float32)
    values[6, 4, 2] = 5.0
    image = nib.Nifti1Image(values, np.diag([4.0, 4.0, 4.0, 1.0]))  # type: ignore[no-untyped-call]
    design = pd.DataFrame({"age": [1.0, 2.0, 4.0, 8.0], "dose": [1.0, 0, 2, 1], "one": 1.0})
    regions = pd.DataFrame(
        {"effect_size": [1.0, 2.0], "effect_variance": 0.5, "z_score": [1.4, 2.7]}, ["V1", "V2"]
    )
    mesh = PolyMesh(*(InMemoryMesh(*folded(0, side)) for side in ("left", "right")))
    return {
        "plot_stat_map": plotting.plot_stat_map(image, bg_img=None),
        "plot_glass_brain": plotting.plot_glass_brain(image, bg_img=None),
        "plot_design_matrix": plotting.plot_design_matrix(design).figure,
        "plot_design_correlation": plotting.plot_design_correlation(design),
        "plot_contrast_matrix": plotting.plot_contrast_matrix("age", design).figure,
        "plot_histogram": plotting.plot_histogram(np.arange(9.0)),
        "plot_forest": plotting.plot_forest([3.0, 5.0], [1.0, 2.0], model="fixed effects"),
        "plot_spaghetti": plotting.plot_spaghetti(
            [3.0, 5.0, 1.0, 4.0], list("aabb"), design[["one"]], "one"
        ),
        "plot_peak": plotting.plot_peak([3.0, 5.0, 1.0, 2.0], design, "age"),
        "plot_regions": plotting.plot_regions(regions, df=9),
        "plot_surf_stat_map": plotting.plot_surf_stat_map(
            SurfaceImage(mesh, {side: np.arange(12.0) for side in mesh.parts})
        ),
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    found = _figures()
    assert set(found) == set(plotting.__all__) - {"show"}
    return found


def test_ipython_finds_a_picture_of_every_figure(figures: dict[str, Any]) -> None:
    from IPython.core.formatters import DisplayFormatter

    for name, figure in figures.items():
        assert isinstance(figure, matplotlib.figure.Figure)
        data, _ = DisplayFormatter().format(figure)  # type: ignore[no-untyped-call]
        shown = Image.open(io.BytesIO(data["image/png"]))
        size = figure.get_size_inches() * figure.dpi
        np.testing.assert_allclose(shown.size, size, atol=1, err_msg=name)
        assert np.asarray(shown)[..., :3].std() > 1, name  # something is drawn


def test_a_figure_comes_back_from_a_pickle(figures: dict[str, Any]) -> None:
    figure = figures["plot_histogram"]
    again = pickle.loads(pickle.dumps(figure))  # noqa: S301
    pixels = []
    for one in (figure, again):
        canvas = FigureCanvasAgg(one)
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels.append(np.asarray(canvas.buffer_rgba()))  # type: ignore[no-untyped-call]
    np.testing.assert_array_equal(pixels[0], pixels[1])


@pytest.mark.parametrize("inline", [False, True])
def test_a_cell_shows_its_figure_once(inline: bool) -> None:
    """Run a cell in IPython's shell, with and without the inline backend."""
    program = f"""
        from IPython.core.interactiveshell import InteractiveShell
        from IPython.utils.capture import capture_output
        shell = InteractiveShell.instance()
        inline = {inline}
        shell.enable_gui = lambda gui=None: None  # a kernel has an event loop, this shell none
        if inline:
            shell.run_cell("%matplotlib inline")
        cell = '''
        import numpy as np
        from groupglm.plotting import plot_histogram
        plot_histogram(np.arange(9.0))'''
        import textwrap
        from unittest.mock import patch
        shown = []
        def publish(data, metadata=None, **rest):
            shown.append(data)
        hook = shell.displayhook
        real = hook.compute_format_data
        def compute(result):
            data, metadata = real(result)
            shown.append(data)
            return data, metadata
        hook.compute_format_data = compute
        with patch.object(shell.display_pub, "publish", publish):
            result = shell.run_cell(textwrap.dedent(cell))
            shell.events.trigger("post_execute")
        result.raise_error()
        pictures = [data["image/png"] for data in shown if "image/png" in data]
        assert len(pictures) == 1, len(pictures)
    """
    subprocess.run(  # noqa: S603
        [sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=120
    )
