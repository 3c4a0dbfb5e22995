# SPDX-License-Identifier: BSD-3-Clause
"""From a template to HTML that loads nothing from elsewhere: `render`."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from groupglm.errors import printable

__all__ = ["render"]


def render(template: str, context: Mapping[str, Any]) -> str:
    """Return a page; all that the context holds is text, which is escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = importlib.resources.files("groupglm.report")

    def read(name: str) -> str:
        return folder.joinpath(*name.split("/")).read_text(encoding="utf-8")

    environment = Environment(
        loader=FunctionLoader(read),
        autoescape=True,  # whatever the name of a template
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    files = {"style": ["templates/style.css"], "program": ["templates/page.js"]}
    if context["viewer"] is not None:
        files["views"] = ["templates/viewer.js", *context["viewer"]["programs"]]
    parts = {
        name: Markup("".join(read(file) for file in own))  # noqa: S704  (our own files)
        for name, own in files.items()
    }
    text = environment.get_template(f"templates/{template}").render(**context, **parts)
    # Lone surrogates, which no page can hold, stand for file names that are not UTF-8. HTML text
    # cannot hold control characters of names either; programs and maps on the page have none.
    return printable(text.encode("utf-8", "backslashreplace").decode("utf-8"))
