# SPDX-License-Identifier: BSD-3-Clause
"""A BIDS Stats Model, and the participants of whom it speaks."""

from __future__ import annotations

from typing import Any

import pandas as pd

from groupglm.bids import StatsModel, read_stats_model

PEOPLE = pd.DataFrame(
    {
        "age": [20.0, 31, 27, 45, 38, 29],
        "sex": ["f", "m", "f", "m", "m", "f"],
        "site": [1, 2, 3, 1, 2, 3],
        "motion_1": [0.1, 0.4, 0.2, 0.3, 0.9, 0.5],
        "motion_2": [1.0, 2, 5, 4, 3, 2],
        "smoker": [True, False, True, True, False, False],
    },
    index=pd.Index([f"{i:02d}" for i in range(1, 7)], name="subject_label"),
)


def whole(**changes: Any) -> dict[str, Any]:
    """Return the model of the specification's walkthrough with a changed dataset node."""
    node = {
        "Level": "Dataset",
        "Name": "one-sample_dataset",
        "GroupBy": ["contrast"],
        "Model": {"X": [1], "Type": "glm"},
        "DummyContrasts": {"Test": "t"},
    }
    run = {
        "Level": "Run",
        "Name": "run_level",
        "GroupBy": ["run", "subject"],
        "Model": {"X": [1, "incongruent", "congruent"], "Type": "glm", "HRF": {"Model": "Gamma"}},
        "Contrasts": [
            {
                "Name": "IvC",
                "ConditionList": ["incongruent", "congruent"],
                "Weights": [1, -1],
                "Test": "t",
            }
        ],
    }
    subject = {
        "Level": "Subject",
        "Name": "subject_level",
        "GroupBy": ["subject", "contrast"],
        "Model": {"X": [1], "Type": "meta"},
        "DummyContrasts": {"Test": "pass"},
    }
    return {
        "Name": "Simon IvC",
        "BIDSModelVersion": "1.0.0",
        "Input": {"subject": ["01", "02", "03"], "task": "simon"},
        "Nodes": [run, subject, {**node, **changes}],
    }


def with_x(*x: Any, **changes: Any) -> StatsModel:
    return read_stats_model(whole(Model={"X": list(x), "Type": "glm"}, **changes))


def transformed(*instructions: Any) -> dict[str, Any]:
    return {"Transformer": "pybids-transforms-v1", "Instructions": list(instructions)}


CONTRAST = {"Name": "c", "ConditionList": ["age"], "Weights": [1], "Test": "t"}
