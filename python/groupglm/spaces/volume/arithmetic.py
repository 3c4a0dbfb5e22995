# SPDX-License-Identifier: BSD-3-Clause
"""Images computed from images: `math_img`, and the values of an image: `get_data`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from groupglm.design.expressions import parse
from groupglm.errors import ArgumentError, GridMismatchError, shown, warn_caller
from groupglm.runtime.arguments import check_text
from groupglm.spaces.volume.like import image_like
from groupglm.spaces.volume.reading.whole_image import WholeImage, open_whole_image

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Image
    from numpy.typing import NDArray

    from groupglm.spaces.volume.grid import Grid
    from groupglm.spaces.volume.reading.opening import ImageLike

__all__ = ["get_data", "math_img"]

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
    ast.Pow: operator.pow, ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
    ast.BitXor: operator.xor, ast.UAdd: operator.pos, ast.USub: operator.neg,
    ast.Invert: operator.invert, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
# Of numpy: what computes with values, and neither reads, writes nor makes arrays.
_FUNCTIONS = {
    "abs", "absolute", "add", "arccos", "arcsin", "arctan", "arctan2", "ceil", "clip", "cos",
    "cosh", "divide", "exp", "exp2", "expm1", "fabs", "floor", "fmax", "fmin", "greater",
    "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log10", "log1p",
    "log2", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum",
    "mod", "multiply", "nan_to_num", "negative", "not_equal", "equal", "power", "reciprocal",
    "rint", "round", "sign", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "trunc",
    "where",
}  # fmt: skip
_REDUCTIONS = {
    "all", "any", "max", "mean", "median", "min", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanstd", "nansum", "nanvar", "prod", "std", "sum", "var",
}  # fmt: skip
_CONSTANTS = {"pi": math.pi, "e": math.e, "nan": math.nan, "inf": math.inf}
_KEYWORDS = {"axis", "keepdims"}
_MOST_ARGUMENTS = {"clip": 3, "where": 3, "round": 2, "nan_to_num": 1}
"""Of functions that are no ufunc. A reduction takes an axis besides. A further argument would be an
array to be written to, or ask for the values themselves to be changed."""
_LONGEST = 2000  # characters of a formula: some hundred operations


def math_img(formula: str, copy_header_from: str | None = None, **imgs: ImageLike) -> Nifti1Image:
    """Compute an image from images by a formula.

    Parameters
    ----------
    formula : str
        An expression of the names of the images, numbers, Python's operators and brackets, indices
        such as ``img[..., 0]``, and functions of numpy that compute with values, such as
        ``np.log10(img)`` or ``np.mean(img, axis=-1)``. It is read as an expression of these and
        nothing else: it can do nothing but compute.
    copy_header_from : str, optional
        The name of the image whose header the result keeps.
    **imgs : str, os.PathLike or nibabel image
        The images by their names in the formula, on one grid.

    Returns
    -------
    nibabel.nifti1.Nifti1Image
        The result. True and False become 1 and 0.

    Raises
    ------
    ValueError
        If the formula cannot be read or computed, holds anything else, or its result is no image.
    groupglm.errors.GridMismatchError
        If the images are on different grids.
    groupglm.errors.ImageError
        If an image cannot be read.

    Warns
    -----
    UserWarning
        If an image is not in the formula.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> import groupglm
    >>> p = nib.Nifti1Image(np.full((2, 2, 2), 0.001, np.float32), np.eye(4))
    >>> corrected = groupglm.math_img("-np.log10(np.minimum(1, img * 10))", img=p)
    >>> round(float(corrected.get_fdata().max()), 4)
    2.0
    """
    check_text("formula", formula, optional=False)
    check_text("copy_header_from", copy_header_from)
    if not imgs:
        raise ArgumentError.about("imgs", "math_img needs at least one image by its name")
    if copy_header_from is not None and copy_header_from not in imgs:
        raise ArgumentError(
            "copy_header_from", shown(copy_header_from), f"one of {', '.join(imgs)}, or None"
        )
    tree = _tree_of(formula)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if unused := [name for name in imgs if name not in used and name != copy_header_from]:
        warn_caller(f"Some images ({unused}) are not mentioned in the formula {shown(formula)}")
    opened = {name: open_whole_image(img, name) for name, img in imgs.items()}
    grid = _grid_of(opened)
    values = {name: _values(whole) for name, whole in opened.items() if name in used}
    with np.errstate(all="ignore"):  # of a logarithm of zero, for instance
        try:
            result = np.asanyarray(_Formula(formula, values).value(tree))
        except ArgumentError:
            raise
        except (TypeError, ValueError, OverflowError, IndexError, RecursionError) as error:
            raise _unusable(formula, f"it cannot be computed: {error}") from error
    if result.shape[:3] != grid.shape or result.dtype.kind not in "biuf":
        raise _unusable(formula, f"its result is no image on the grid: its shape is {result.shape}")
    if result.dtype == np.bool_:
        result = result.astype(np.uint8)
    header = None if copy_header_from is None else opened[copy_header_from].header
    return image_like(header, grid, result)


def get_data(img: ImageLike) -> NDArray[Any]:
    """Return the values of an image.

    Parameters
    ----------
    img : str, os.PathLike or nibabel image
        The image.

    Returns
    -------
    array
        The values in the type that the image has, scaled where the file scales them.

    Raises
    ------
    groupglm.errors.ImageError
        If the image cannot be read.

    Examples
    --------
    >>> import nibabel as nib
    >>> import numpy as np
    >>> from groupglm.image import get_data
    >>> int(get_data(nib.Nifti1Image(np.ones((2, 2, 2), np.int16), np.eye(4))).sum())
    8
    """
    return _values(open_whole_image(img, "img"))


def _tree_of(formula: str) -> ast.expr:
    if len(formula) > _LONGEST:
        raise _unusable(formula, f"it has {len(formula)} characters, more than {_LONGEST}")
    try:
        return parse(formula)
    except (ValueError, SyntaxError) as error:
        raise _unusable(formula, f"it cannot be read: {error}") from error


def _grid_of(opened: Mapping[str, WholeImage]) -> Grid:
    first, *others = opened
    grid = opened[first].sources[0].grid
    for name in others:
        difference = opened[name].sources[0].grid.difference(grid)
        if difference is not None:
            raise GridMismatchError(
                f"Input images cannot be compared: {name} is not on the grid of {first}: "
                f"{difference}; resample it by groupglm.resample_to_img"
            )
    return grid


def _values(whole: WholeImage) -> NDArray[Any]:
    sources = whole.sources
    kinds = [one.value_dtype if one.value_dtype.kind in "iu" else one.dtype for one in sources]
    data = np.empty((*sources[0].grid.shape, *whole.axes), np.result_type(*kinds), order="F")
    volumes = data.reshape((sources[0].grid.n_voxels, len(sources)), order="F")  # a view
    for place, source in enumerate(sources):
        source.read_into(volumes[:, place])
    return data


def _unusable(formula: str, why: str) -> ArgumentError:
    return ArgumentError.about(
        "formula", f"Input formula couldn't be processed, you provided {shown(formula)}: {why}"
    )


class _Formula:
    """Computes an expression node by node: only what is listed above is done."""

    def __init__(self, text: str, values: Mapping[str, NDArray[Any]]) -> None:
        self._text = text
        self._values = values

    def value(self, node: ast.AST) -> Any:  # noqa: PLR0911 - one for each kind of node
        """Return the value of a node: an array or a number."""
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return number if abs(number) < 2**53 else float(number)
            case ast.Name(id=name) if name in self._values:
                return self._values[name]
            case ast.Attribute(value=ast.Name(id="np"), attr=name) if name in _CONSTANTS:
                return _CONSTANTS[name]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return self._apply(op, self.value(left), self.value(right))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
                return self._apply(op, self.value(operand))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _OPERATORS:
                return self._apply(op, self.value(left), self.value(right))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr=name)):
                return self._call(name, node)
            case ast.Subscript(value=of, slice=index):
                return np.asanyarray(self.value(of))[self._index(index)]
        raise self._refused(node)

    def _apply(self, op: ast.AST, *operands: Any) -> Any:
        if not any(isinstance(one, np.ndarray) for one in operands):
            # Python's whole numbers have no largest one: 9**9**9 would never end.
            return _OPERATORS[type(op)](*map(np.float64, operands)).item()
        return _OPERATORS[type(op)](*operands)

    def _call(self, name: str, call: ast.Call) -> Any:
        if name not in _FUNCTIONS | _REDUCTIONS:
            raise self._refused(call.func)
        given = [self.value(argument) for argument in call.args]
        options = {}
        for keyword in call.keywords:
            if keyword.arg not in _KEYWORDS or name not in _REDUCTIONS:
                raise self._refused(keyword.value)
            options[keyword.arg] = self._index(keyword.value)
        function = getattr(np, name)
        is_ufunc = isinstance(function, np.ufunc)
        if len(given) > (function.nin if is_ufunc else _MOST_ARGUMENTS.get(name, 2)):
            raise self._refused(call)
        return function(*given, **options)

    def _index(self, node: ast.AST) -> Any:
        """Return whole numbers, slices and ... as they are written."""
        match node:
            case ast.Constant(value=bool() | int() as number):
                return number
            case ast.Constant(value=value) if value is Ellipsis:
                return value
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() as number)):
                return -number
            case ast.Tuple(elts=parts):
                return tuple(self._index(part) for part in parts)
            case ast.Slice(lower=low, upper=high, step=step):
                ends = (low, high, step)
                return slice(*(None if end is None else self._index(end) for end in ends))
        raise self._refused(node)

    def _refused(self, node: ast.AST) -> ArgumentError:
        part = ast.unparse(node)
        images = ", ".join(self._values) or "no image"
        return _unusable(
            self._text,
            f"{shown(part)} is none of the images ({images}), numbers, operators and functions of "
            "numpy that compute with values",
        )
