"""Official weights and values, which cannot be part of this repository."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shared():
    """The folder of reference material: $BLURBENCH_SHARED, else `shared` beside the repository."""
    folder = Path(os.environ.get("BLURBENCH_SHARED") or REPOSITORY.parent / "shared")
    if not (folder / "reference").is_dir():
        pytest.skip(f"no reference material in {folder}; set BLURBENCH_SHARED to its folder")
    return folder
