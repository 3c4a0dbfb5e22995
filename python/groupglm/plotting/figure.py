# SPDX-License-Identifier: BSD-3-Clause
"""A figure that shows itself in a notebook."""

from __future__ import annotations

import io

from matplotlib import figure

__all__ = ["Figure"]


class Figure(figure.Figure):
    """A matplotlib figure without pyplot that is seen where it is a notebook cell's last value.

    IPython asks an object for ``_repr_png_``, unless ``%matplotlib inline`` has told it another way
    for figures: the picture is then shown once, in that way.

    Examples
    --------
    >>> Figure(figsize=(1, 1))._repr_png_()[1:4]
    b'PNG'
    """

    def _repr_png_(self) -> bytes:
        """Return the picture as it is saved."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()
