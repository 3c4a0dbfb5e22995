# SPDX-License-Identifier: BSD-3-Clause
"""The fit of one group of images, and its results as images: `FittedGroup`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from groupglm import _core
from groupglm.engine.group_rows import GroupRows
from groupglm.errors import in_quotes
from groupglm.models.base import Weighs
from groupglm.models.fit_maps import maps_by_group
from groupglm.models.image_weights import image_weights
from groupglm.models.results import ContrastResult
from groupglm.models.robust_fit import RobustFit
from groupglm.spaces.statistic import OUTPUTS, Statistic

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable
    from pathlib import Path

    from numpy.typing import NDArray

    from groupglm.engine.row_store import RowStore
    from groupglm.models.base import Fit
    from groupglm.spaces.base import RowStream, Source, Space

__all__ = ["MAPS", "MISSING", "FittedGroup", "Missing", "PartialZeros", "statistic_of"]

MAPS = {
    "r_square": Statistic("R-squared"),
    "tau2": Statistic("tau2"),
    "i_squared": Statistic("I2"),
    "h_squared": Statistic("H2"),
    "q": Statistic("Q"),
    "q_p_value": Statistic("Qp"),
    "intraclass_correlation": Statistic("ICC"),
    "subject_variance": Statistic("subjectVariance"),
    "residual_variance": Statistic("residualVariance"),
    "family_variance": Statistic("familyVariance"),
    "converged": Statistic("converged"),
    "iterations": Statistic("iterations"),
    "mean_weight": Statistic("meanWeight"),
}
"""The maps that fits have of themselves, by their names in `Fit.maps`, and what they hold."""

_OTHERWISE = {
    "r_square": "fit the model 'ols' for it",
    "intraclass_correlation": "fit the model 'repeated measures' with a random intercept",
    "subject_variance": "fit the model 'repeated measures' with a random intercept",
    "residual_variance": "fit the model 'repeated measures' with a random intercept",
    "family_variance": "fit RepeatedMeasures(covariance='nested'), and give the families",
    "converged": "fit the model 'robust'",
    "iterations": "fit the model 'robust'",
    "mean_weight": "fit the model 'robust'",
}
"""What a user does who misses a map; else, what has a variance of each image."""

Missing = Literal["omit", "zero", "raise", "intersect"]
MISSING: tuple[Missing, ...] = ("omit", "zero", "raise", "intersect")


@dataclass(frozen=True)
class PartialZeros:
    """Numbers of voxels of a fit that are zero in some images but not in others.

    Parameters
    ----------
    n_voxels : int
        Number of voxels of the mask.
    n_partial : int
        Number of voxels where some images are exactly zero, and others have another value.
    n_single : int
        Number of those where only one image has another value.
    are_missing : bool
        Whether the zeros counted as missing values.
    places : str, default="voxels"
        The word for the places of the data.
    """

    n_voxels: int
    n_partial: int
    n_single: int
    are_missing: bool
    places: str = field(default="voxels", repr=False)

    def sentence(self, images: str = "images") -> str:
        """Return the numbers as a sentence without a full stop.

        Parameters
        ----------
        images : str, default="images"
            The reader's word for images.

        Returns
        -------
        str
            The sentence.
        """
        verb = "is" if self.n_partial == 1 else "are"
        return (
            f"{self.n_partial:,} of {self.n_voxels:,} {self.places} {verb} exactly zero in some "
            f"{images} but not in others, {self.n_single:,} of them in all {images} but one"
        )


@dataclass(frozen=True, eq=False)
class FittedGroup:
    """A fit of one group of images, with all that is needed to make images of results.

    Parameters
    ----------
    space : Space
        The voxels.
    result : Fit
        The fit.
    sources : tuple of Source
        The images, which residuals read again; beside each, what the model takes with it.
    missing : {"omit", "zero", "raise", "intersect"}
        How missing values were treated.
    n_zeros : array of int, shape (n_voxels,), or None
        Number of images that are exactly zero at each voxel; with ``missing="zero"``, NaN counts as
        zero. None if a saved model does not have it.
    kept : RowStore, optional
        The images' rows at these voxels, if the fit stored them.
    file_states : tuple, optional
        The state of each image's files before it was read.
    """

    space: Space
    result: Fit
    sources: tuple[Source, ...]
    missing: Missing
    n_zeros: NDArray[np.int32] | None
    kept: RowStore | None = None
    file_states: tuple[Hashable, ...] = ()

    @property
    def rows(self) -> GroupRows:
        """The rows of the images: stored during the fit, or read when they are needed."""
        return GroupRows(
            self.sources,
            self.space,
            self.fill,
            self.result.n_threads,
            self.kept,
            self.file_states,
            self.result.model.beside,
        )

    @property
    def images(self) -> tuple[Source, ...]:
        """The images, without what a model takes with them: one for each row of the design."""
        return self.sources[:: self._rows_per_image]

    @property
    def _rows_per_image(self) -> int:
        return len(self.sources) // len(self.result.X)

    def image_rows(self) -> Generator[tuple[int, NDArray[Any]], None, None]:
        """Yield the number of each image and its values, which are valid until the next."""
        rows, k = self.rows, self._rows_per_image
        if self.kept is None:  # what is beside the images is not read
            states = self.file_states[::k]
            rows, k = replace(rows, sources=self.images, file_states=states, beside=()), 1
        # Closed explicitly: after an error, its traceback would keep the reading threads alive.
        with closing(rows.batches()) as batches:
            for first, values in batches:
                for number in range(-first % k, len(values), k):
                    yield (first + number) // k, values[number]

    def rows_of_images(self) -> Generator[tuple[int, NDArray[Any]], None, None]:
        """Yield the number of each image and its rows: its own, and those beside it.

        Rows, shape (1 + k, n_values), are valid until the next.
        """
        k = self._rows_per_image
        own: Any = None
        with closing(self.rows.batches()) as batches:
            for first, values in batches:  # stored rows of an image may be in two batches
                for number, row in enumerate(values, first):
                    image, role = divmod(number, k)
                    if role == 0:
                        own = row[np.newaxis] if k == 1 else np.empty((k, len(row)), row.dtype)
                    if k > 1:
                        own[role] = row
                    if role == k - 1:
                        yield image, own

    @property
    def has_images(self) -> bool:
        """Whether the images can be read again; False if the model was loaded from a file."""
        return all(source.is_readable for source in self.sources)

    @property
    def saved_in(self) -> str | None:
        """The file that the fit was loaded from; None if it was made here."""
        return self.sources[0].saved_in

    @property
    def zero_is_missing(self) -> bool:
        """Whether exact zeros counted as missing values."""
        return self.space.zero_is_missing

    @property
    def zeros(self) -> PartialZeros:
        """How many voxels are zero in some images but not in others."""
        n_zeros, n_values = self._counted_zeros(), np.asarray(self.result.n_observations)
        if isinstance(self.result, Weighs):  # zeros outside a brain are no values there
            n_zeros = n_zeros - self.result.counts()["outside"]
        n_measured = n_values if self.zero_is_missing else n_values - n_zeros
        partial = (n_zeros > 0) & (n_measured > 0)
        return PartialZeros(
            n_voxels=self.space.n_values,
            n_partial=int(np.count_nonzero(partial)),
            n_single=int(np.count_nonzero(partial & (n_measured == 1))),
            are_missing=self.zero_is_missing,
            places=self.space.place_words[1],
        )

    def n_zeros_image(self) -> Any:
        """Return the number of images that are exactly zero at each voxel."""
        return self._count_image(self._counted_zeros(), "number of images that are zero")

    def _counted_zeros(self) -> NDArray[np.int32]:
        if self.n_zeros is None:
            raise AttributeError(
                f"{in_quotes(self.saved_in)} was saved by a version that did not count zeros; "
                "fit the model again to know where images are zero"
            )
        return self.n_zeros

    def n_observations_image(self) -> Any:
        """Return the number of images that have each voxel."""
        return self._count_image(self.result.n_observations, "number of images")

    def df_residual_image(self) -> Any:
        """Return the residual degrees of freedom of each voxel."""
        return self._count_image(self.result.df_residual, "residual degrees of freedom")

    def _count_image(self, counts: float | NDArray[Any], descrip: str) -> Any:
        row = np.broadcast_to(np.asarray(counts), (self.space.n_values,))
        # Degrees of freedom of some models are not whole numbers.
        return self.space.to_image(row, descrip, dtype=None if row.dtype.kind == "f" else np.int32)

    def r_square_image(self) -> Any:
        """Return R-squared of each voxel."""
        return self.map_image("r_square")

    def map_rows(self, name: str) -> dict[str, NDArray[np.float64]]:
        """Return a map of the fit itself, of those in `MAPS`, by group.

        The group is empty if all images have the same map. AttributeError if the fit has none.
        """
        maps = maps_by_group(self.result, name)
        if not maps:
            of_variances = "give fit the variances of the images and model='mixed effects'"
            remedy = _OTHERWISE.get(name, of_variances)
            raise AttributeError(
                f"the model {self.result.model.kind!r} has no {MAPS[name].words}: {remedy}"
            )
        return {group: compute() for group, compute in maps.items()}

    def map_image(self, name: str) -> Any:
        """Return the image of a map of the fit itself, or a dictionary of them by group."""
        statistic = MAPS[name]
        descrip = "r_square" if name == "r_square" else statistic.kind
        images = {
            group: self.space.to_image(row, descrip, statistic=statistic)
            for group, row in self.map_rows(name).items()
        }
        return images.get("", images)

    def predicted_image(self, out: Path | None = None) -> Any:
        """Return the fitted values, 4-D: one volume an image. Only covariates are read."""
        n_images = len(self.images)
        return self.space.series_image(self._predicted_rows, n_images, "predicted", out)

    def residuals_image(self, out: Path | None = None) -> Any:
        """Return the residuals, 4-D: one volume an image; NaN where an image has no value.

        The images are read again, a batch at a time.
        """
        n_images = len(self.images)
        return self.space.series_image(self._residual_rows, n_images, "residuals", out)

    def _predicted_rows(self) -> RowStream:
        beta, n_covariates = self.result.beta, self._n_covariates
        if n_covariates:  # their values differ from place to place
            with closing(self.rows_of_images()) as images:
                for image, rows in images:
                    yield self._predict(image, beta, rows[-n_covariates:])
            return
        for image in range(len(self.images)):
            yield self._predict(image, beta)

    def standardised_residuals(self) -> RowStream:
        """Yield the residuals of each image, times the root of its weight where it has one.

        Those of robust regression are times the weight, as they count in its coefficients. They
        are in proportion to standardised residuals; NaN where an image has no value.
        """
        return self._residual_rows(weighted=True)

    @property
    def residual_freedom(self) -> NDArray[np.float64]:
        """Images with a value less the rank of the design, of each place, shape (n_values,)."""
        rank = np.linalg.matrix_rank(self.result.X)
        freedom = np.asarray(self.result.n_observations, np.float64) - rank
        return np.broadcast_to(freedom, (self.space.n_values,))

    def _residual_rows(self, *, weighted: bool = False) -> RowStream:
        beta, n_covariates = self.result.beta, self._n_covariates
        if not self.result.model.beside:
            with closing(self.image_rows()) as own:
                for image, values in own:
                    found = values - self._predict(image, beta)
                    if weighted and isinstance(self.result, RobustFit):
                        found = self.result.weighted_residuals(image, found)
                    yield found
            return
        with closing(self.rows_of_images()) as images:
            for image, rows in images:
                values = rows.astype(np.float64)[:, np.newaxis]
                found = image_weights(self.result, *values)  # of all images, or of this one
                weights = found[image if len(found) > 1 else 0]
                covariates = rows[len(rows) - n_covariates :]
                own = rows[0] - self._predict(image, beta, covariates)
                yield np.where(weights > 0, own * np.sqrt(weights) if weighted else own, np.nan)

    @property
    def _n_covariates(self) -> int:
        return self.result.model.beside.count("covariate")

    @property
    def fill(self) -> float | None:
        """The value that replaces missing values; None to leave them missing."""
        return 0.0 if self.missing == "zero" else None

    def _predict(
        self, image: int, beta: NDArray[np.float64], covariates: NDArray[Any] | None = None
    ) -> NDArray[np.float64]:
        """Return the fitted values of an image, whose covariates have these rows."""
        common = len(beta) - self._n_covariates
        row = np.ascontiguousarray(self.result.X[image : image + 1, :common])
        own = np.ascontiguousarray(beta[:common])
        fitted = _core.predict(row, own, self.result.n_threads).reshape(-1)
        slopes = beta[common:]
        for values, slope in zip(() if covariates is None else covariates, slopes, strict=True):
            fitted += values * slope
        return fitted


def statistic_of(result: ContrastResult, output_type: str) -> Statistic:
    """Return the statistic of a contrast's map of one kind, for the header of the map."""
    if output_type != "stat":
        kind = OUTPUTS[output_type]
        return Statistic(kind, of_f=kind == "z" and result.stat_type == "F")
    degrees = result.df if isinstance(result.df, tuple) else (result.df,)
    distinct = [np.unique(each) for each in degrees]
    same = all(len(each) == 1 and 0 < each[0] < np.inf for each in distinct)
    return Statistic(result.stat_type, tuple(float(d[0]) for d in distinct) if same else ())
