# SPDX-License-Identifier: BSD-3-Clause
"""Vertices of one hemisphere, inside a mask: `HemisphereSpace`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import joblib
import numpy as np

from groupglm.errors import ArgumentError
from groupglm.messages import argument
from groupglm.runtime.rounding import place as position_words
from groupglm.spaces.base import Part, RowStream, Space
from groupglm.spaces.cells import Triangulation, triangulation_of
from groupglm.spaces.checks import checked_keep, checked_rows
from groupglm.spaces.places import SAME_POSITION_MM
from groupglm.spaces.surface.hemisphere_source import AbsentHemisphere, HemisphereSource
from groupglm.spaces.surface.preparation import Preparation
from groupglm.spaces.surface.smoothing import (
    achieved_fwhm,
    iterations_of,
    smooth_rows,
    warn_of_no_smoothing,
)
from groupglm.spaces.surface.values import values_of_rows
from groupglm.spaces.zeros import Zeros

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray

    from groupglm._core import Neighbours
    from groupglm.spaces.statistic import Statistic
    from groupglm.spaces.surface.mesh import Mesh

__all__ = ["HemisphereSource", "HemisphereSpace"]

_TFCE_POWERS = (1.0, 2.0)
"""E and H of threshold-free cluster enhancement on surfaces, where extent is an area."""


@dataclass(frozen=True, eq=False)
class HemisphereSpace(Space):
    """The vertices of a hemisphere that are inside a mask, or all of them.

    Parameters
    ----------
    side : str
        "left" or "right".
    n_vertices : int
        Number of vertices of the mesh.
    vertices : array of int, shape (n_values,), optional
        The vertices inside the mask, increasing. All by default.
    mesh : Mesh, optional
        Where the vertices lie, and which are neighbours. Clusters and positions need it.
    areas : array, shape (n_vertices,), optional
        The area of each vertex of the mesh in mm2. By default those of the mesh, if there is one.
    preparation : Preparation, optional
        What is done to an image before its row is gathered. Nothing by default.
    counts_vertices : bool, default=False
        Whether the size of a cluster is its number of vertices, although their areas are known.

    Examples
    --------
    >>> import numpy as np
    >>> space = HemisphereSpace("left", 5)
    >>> inside = space.restrict(np.array([False, True, False, True, True]))
    >>> inside.n_values, inside.describe_place(0), inside.to_image(np.ones(3, np.float32))
    (3, 'vertex 1, left', array([0., 1., 0., 1., 1.], dtype=float32))
    """

    tag: ClassVar[str] = "hemisphere"
    place_words: ClassVar[tuple[str, str]] = ("vertex", "vertices")
    placement_word: ClassVar[str] = "mesh"

    side: str
    n_vertices: int
    vertices: NDArray[np.int64] | None = None
    mesh: Mesh | None = None
    areas: NDArray[np.float64] | None = None
    preparation: Preparation | None = None
    counts_vertices: bool = False

    def __post_init__(self) -> None:
        if self.vertices is None:
            return
        vertices = np.array(self.vertices, np.int64)
        if vertices.ndim != 1 or vertices.size == 0:
            raise ArgumentError.about(
                "mask_img", "the mask is empty: no vertex is inside", "give one that has vertices"
            )
        if vertices[0] < 0 or vertices[-1] >= self.n_vertices or (np.diff(vertices) <= 0).any():
            raise ValueError(
                f"the vertices of a mask must increase from 0 to at most {self.n_vertices - 1}"
            )
        vertices.setflags(write=False)
        object.__setattr__(self, "vertices", vertices)

    @property
    def n_values(self) -> int:
        """Number of vertices inside the mask: the length of a row."""
        return self.n_vertices if self.vertices is None else len(self.vertices)

    @property
    def faces(self) -> NDArray[np.int32] | None:
        """The triangles of the mesh, with which those of images are compared."""
        return None if self.mesh is None else self.mesh.faces

    @property
    def unit(self) -> str:
        """``mm2`` where the areas of the vertices are known and count, else ``vertices``."""
        has_areas = self.areas is not None or self.mesh is not None
        return "mm2" if has_areas and not self.counts_vertices else "vertices"

    @property
    def parts(self) -> tuple[Part, ...]:
        """The hemisphere, the only part."""
        return (Part(self.side, 0, self.n_values, self.unit, _TFCE_POWERS),)

    @property
    def zero_is_missing(self) -> bool:
        """Whether exact zeros of an image are missing values."""
        return self.preparation is not None and self.preparation.zero_is_missing

    @cached_property
    def n_iterations(self) -> int:
        """How many iterations of smoothing an image gets; the mesh is needed for any."""
        fwhm = 0.0 if self.preparation is None else self.preparation.smoothing_fwhm
        if not fwhm:
            return 0
        return iterations_of(fwhm, self.needed_mesh(), self.areas, name="smoothing_fwhm")

    def check_smoothing(self) -> None:
        """Refuse a width without a mesh, or that is none of it; warn if it does not smooth."""
        if not self.preparation_options:
            return
        fwhm, mesh = self.preparation_options["smoothing_fwhm"], self.needed_mesh()
        self.known_areas()  # warns of those of an inflated surface
        warn_of_no_smoothing(fwhm, mesh, self.areas, name="smoothing_fwhm")

    @property
    def mixes_places(self) -> bool:
        """Whether a value may come from several vertices, by smoothing."""
        return self.n_iterations > 0

    @property
    def preparation_options(self) -> Mapping[str, Any]:
        """The smoothing, by the name of the estimator's option."""
        fwhm = 0.0 if self.preparation is None else self.preparation.smoothing_fwhm
        return {"smoothing_fwhm": fwhm} if fwhm else {}

    @property
    def preparation_facts(self) -> Mapping[str, Mapping[str, Any]]:
        """The iterations of smoothing, and the width in mm that they achieve."""
        if "smoothing_fwhm" not in self.preparation_options:
            return {}
        achieved = achieved_fwhm(self.n_iterations, self.needed_mesh(), self.areas)
        return {
            "Smoothing": {
                self.side: {"Iterations": self.n_iterations, "AchievedFWHM": round(achieved, 4)}
            }
        }

    def numbers(self, places: NDArray[np.integer] | None = None) -> NDArray[np.int64]:
        """Return the numbers of vertices in the mesh, of some places or of all."""
        if self.vertices is None:
            return np.arange(self.n_vertices) if places is None else places.astype(np.int64)
        return self.vertices if places is None else self.vertices[places]

    def at_vertices(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return those of the values of all vertices, shape (..., n_vertices), that a row has."""
        return values if self.vertices is None else values[..., self.vertices]

    def reader_of(self, role: str) -> HemisphereSpace:
        """Return the space of the same vertices that reads variances, weights or covariates."""
        if self.preparation is None:
            return self
        return replace(self, preparation=self.preparation.of_role(role))

    def read_row(
        self, source: HemisphereSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> Zeros | None:
        """Read the values of the hemisphere into a row, which may be NaN everywhere."""
        if self.mixes_places:
            return self._read_smoothed(source, out)
        source.read_into(out, self.vertices)
        if not self.zero_is_missing:
            return None
        zeros = Zeros.of(out)
        out[zeros.places] = np.nan
        return zeros

    def _read_smoothed(
        self, source: HemisphereSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> Zeros:
        """Read all vertices, smooth them on the mesh, and put those of the mask into a row."""
        preparation = self.preparation or Preparation()
        values = np.empty(self.n_vertices, out.dtype)
        source.read_into(values, None)
        zeros = Zeros.of(values)
        if preparation.fill == 0:
            zeros.places[np.isnan(values)] = True
        if preparation.zero_is_missing:
            values[zeros.places] = np.nan
        if preparation.fill is not None:
            values[np.isnan(values)] = preparation.fill
        mesh, names = self.needed_mesh(), {0: source.name}
        smooth_rows(values[np.newaxis], mesh, self.n_iterations, names=names)
        out[...] = self.at_vertices(values)
        return zeros.at(self.vertices)

    def read_stored(
        self, source: HemisphereSource, out: NDArray[np.float32] | NDArray[np.float64]
    ) -> None:
        """Read the values of the hemisphere into a row, as they are stored."""
        source.read_into(out, self.vertices)

    def bytes_to_read(self, source: HemisphereSource) -> int:
        """Return the bytes that one hemisphere takes while it is read."""
        # While it is smoothed: two copies, and what divides the sums, in double.
        return (40 if self.mixes_places else 8) * source.n_vertices

    def restrict(self, keep: NDArray[np.bool_]) -> HemisphereSpace:
        """Return the space of some of these vertices, in the order of a row."""
        kept = np.flatnonzero(checked_keep(keep, self.n_values))
        return replace(self, vertices=self.numbers(kept))

    def onto(self, other: HemisphereSpace) -> HemisphereSpace:
        """Return the space of those vertices of another space that are here too."""
        return replace(other, vertices=np.intersect1d(self.numbers(), other.numbers()))

    def background(
        self,
        mean: NDArray[np.float64],
        n_observations: NDArray[np.integer],
        *,
        n_images: int,
        min_observations: int,
    ) -> NDArray[np.bool_]:
        """Find the vertices that have values in enough images, and not zero in all of them."""
        del n_images
        with np.errstate(invalid="ignore"):
            return np.asarray((np.abs(mean) > 0) & (n_observations >= min_observations))

    def to_image(
        self,
        values: NDArray[Any],
        descrip: str = "",
        *,
        dtype: DTypeLike | None = None,
        statistic: Statistic | None = None,
    ) -> NDArray[Any]:
        """Return values for all vertices, shape (n_vertices,) or (k, n_vertices), zero outside.

        They are float32 by default, or float64 where float32 cannot hold a value.
        """
        del descrip, statistic
        rows = checked_rows(values, self.n_values)
        return values_of_rows(rows, self.vertices, self.n_vertices, dtype)

    def series_image(
        self, make_rows: Callable[[], RowStream], n_rows: int, descrip: str, out: Path | None
    ) -> NDArray[Any]:
        """Return rows that come one by one as `to_image` does; a file is made by what joins it."""
        del out
        rows = np.empty((n_rows, self.n_values))
        with closing(make_rows()) as stream:
            for number, row in enumerate(stream):
                rows[number] = row
        return self.to_image(rows, descrip)

    @property
    def has_neighbours(self) -> bool:
        """Whether the mesh is known, which says who is neighbour of whom."""
        return self.mesh is not None

    def neighbours(self, connectivity: int) -> Neighbours:
        """Return which vertices share an edge of the mesh; `connectivity` has no effect."""
        del connectivity
        mesh = self.needed_mesh()
        return mesh.neighbours() if self.vertices is None else mesh.restricted(self.vertices)

    def degrees(self, connectivity: int, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return some vertices' numbers of neighbours in the whole mesh."""
        del connectivity
        return self.needed_mesh().degrees(self.numbers(places))

    def cells(self) -> tuple[Triangulation]:
        """Return the triangles of the mesh and their edges."""
        mesh, scale = self.needed_mesh(), None
        if self.areas is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                scale = np.where(mesh.areas > 0, self.areas / mesh.areas, 0.0)
        part = self.parts[0]
        return (triangulation_of(mesh.faces, mesh.coordinates, self.numbers(), part, scale),)

    def needed_mesh(self) -> Mesh:
        """Return the mesh; refuse what needs it if there is none."""
        if self.mesh is None:
            raise ArgumentError.about(
                "surfaces",
                "clusters, TFCE and smoothing on a surface need its mesh",
                "give "
                + argument("surfaces", shown="(left, right)")
                + f", a pair of .surf.gii files of {self.n_vertices} vertices",
            )
        return self.mesh

    def known_areas(self) -> NDArray[np.float64]:
        """Return the area of each vertex of the mesh in mm2; warn if they are no cortex's."""
        if self.areas is not None:
            return self.areas
        from groupglm.spaces.surface.mesh import warn_of_unreal_areas

        mesh = self.needed_mesh()
        warn_of_unreal_areas([mesh])
        return mesh.areas

    def weights(self) -> NDArray[np.float64] | None:
        """Return the area of each vertex in mm2, shape (n_values,); None if it does not count."""
        if self.unit == "vertices":
            return None
        weights = np.asarray(self.at_vertices(self.known_areas()))
        if not (weights > 0).all():
            place = int(np.argmin(weights > 0))
            raise ArgumentError.about(
                "areas",
                f"the area of {self.describe_place(place)} is {weights[place]:g} mm2, but every "
                "vertex inside the mask needs one above zero",
                "give the areas of the data's own mesh, or a mask without such vertices",
            )
        return weights

    def coordinates(self, places: NDArray[np.integer] | None = None) -> NDArray[np.float64]:
        """Return where some vertices lie, or all, in mm, shape (n, 3); NaN without a mesh."""
        if self.mesh is None:
            return super().coordinates(places)
        return np.asarray(self.mesh.coordinates[self.numbers(places)])

    def layout(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the numbers of some vertices in the mesh, shape (n, 1)."""
        return self.numbers(places)[:, np.newaxis]

    def middle_layout(self, places: NDArray[np.integer]) -> NDArray[Any]:
        """Return where some vertices lie: the mean of their numbers is not their middle."""
        return self.layout(places) if self.mesh is None else self.coordinates(places)

    def distances_from(
        self, place: int, places: NDArray[np.integer], limit: float
    ) -> NDArray[np.float64]:
        """Return how far some vertices are from one along the edges of the mesh, in mm."""
        straight = super().distances_from(place, places, limit)
        if self.mesh is None:
            return straight
        # No path is shorter than the straight line, except for rounding.
        near = straight <= limit * (1 + 1e-9)
        found = np.full(len(places), np.inf)
        if near.any():
            origin = int(self.numbers(np.array([place]))[0])
            found[near] = self.mesh.distances(origin, limit)[self.numbers(places[near])]
        return found

    def ball(self, centre: Sequence[float], radius: float) -> tuple[NDArray[np.intp], float]:
        """Find the vertices within a distance, along the edges, of the one nearest to a position.

        That one is sought in the whole mesh, and must itself be within the distance.
        """
        if self.mesh is None:
            return np.zeros(0, np.intp), np.inf
        steps = self.mesh.coordinates - np.asarray(centre, np.float64)
        distances = np.sqrt(np.einsum("ij,ij->i", steps, steps))
        middle, reach = int(distances.argmin()), radius + SAME_POSITION_MM
        nearest = float(distances[middle])
        if nearest > reach:
            return np.zeros(0, np.intp), nearest
        along = self.mesh.distances(middle, reach)
        return np.flatnonzero(self.at_vertices(along) <= reach), nearest

    def structure(self, places: NDArray[np.integer]) -> NDArray[np.object_]:
        """Return the side for each of some places."""
        return np.full(len(places), self.side, object)

    def vertex_numbers(self, places: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the numbers of some vertices in the mesh."""
        return self.numbers(places)

    def nearest(self, position: Sequence[float]) -> tuple[int, float] | None:
        """Return the place nearest to a position in mm, and how far it is; None without a mesh."""
        if self.mesh is None:
            return None
        steps = self.coordinates() - np.asarray(position, np.float64)
        distances = np.sqrt(np.einsum("ij,ij->i", steps, steps))
        place = int(distances.argmin())
        return place, float(distances[place])

    def place_at(self, position: Sequence[float]) -> int | None:
        """Return the vertex nearest to a position in mm; None farther away than its edges reach."""
        found = self.nearest(position)
        if found is None:
            return None
        place, distance = found
        edges = self.needed_mesh().edges()[[int(self.numbers(np.array([place]))[0])]]
        return place if distance <= edges.max() else None

    def describe_placement(self) -> str:
        """Say how many vertices the mesh has: ``10242 vertices of the left hemisphere``."""
        return f"{self.n_vertices} vertices of the {self.side} hemisphere"

    def describe_place(self, place: int) -> str:
        """Name a vertex by its number, and its place if there is a mesh.

        ``vertex 4012, left``, or ``vertex 4012, left, (-41.8, -17.7, 62) mm``.
        """
        text = f"vertex {self.numbers(np.array([place]))[0]}, {self.side}"
        if self.mesh is None:
            return text
        return f"{text}, {position_words(np.round(self.coordinates(np.array([place]))[0], 1))}"

    def name_places(self, places: NDArray[np.integer]) -> str:
        """Name the first five of several vertices by their numbers in the mesh."""
        names = ", ".join(map(str, self.numbers(places[:5]).tolist()))
        more = ", ..." if len(places) > 5 else ""
        return f"{self.place_words[len(places) > 1]} {names}{more}, {self.side}"

    def value_names(self) -> NDArray[np.object_]:
        """Name each vertex by its number in the mesh, ``vertex_i``."""
        return np.array([f"vertex_{number}" for number in self.numbers().tolist()], object)

    def identity(self) -> str:
        """Return a text that is equal for spaces that read equal rows from an image."""
        parts: tuple[Any, ...] = (
            self.side, self.n_vertices, self.vertices, repr(self.preparation)
        )  # fmt: skip
        if self.mixes_places:
            parts += (self.needed_mesh().digest, self.n_iterations)
        return str(joblib.hash(parts))

    def absent_source(self, name: str, saved_in: str) -> HemisphereSource:
        """Return an image of which only the name is known."""
        return AbsentHemisphere(name, self.side, self.n_vertices, saved_in)

    def stored(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return the space in a form to store, with its mesh, so that clusters need no files."""
        facts: dict[str, Any] = {
            "side": self.side,
            "n_vertices": self.n_vertices,
            "preparation": None if self.preparation is None else asdict(self.preparation),
            "mesh": None if self.mesh is None else self.mesh.name,
            "mesh_is": "" if self.mesh is None else self.mesh.declared,
            "has_mask": self.vertices is not None,
            "has_areas": self.areas is not None,
        }
        arrays: dict[str, NDArray[Any]] = {}
        if self.vertices is not None:
            arrays["vertices"] = self.vertices
        if self.mesh is not None:
            arrays |= {"coordinates": self.mesh.coordinates, "faces": self.mesh.faces}
        if self.areas is not None:
            arrays["areas"] = self.areas
        return facts, arrays
