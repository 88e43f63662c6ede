"""What `import blurbench` gives: functions that stay functions, whatever was imported before."""

import subprocess
import sys

import pytest

import blurbench
from blurbench.errors import RecipeError


@pytest.mark.parametrize("name", sorted(set(blurbench.__all__) - {"__version__"}))
def test_public_names_can_be_called_again_and_again(name):
    """In a process of its own: the second look finds what importing the first left behind."""
    code = f"import blurbench; blurbench.{name}; import blurbench.train.losses; assert callable(blurbench.{name}), blurbench.{name}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_train_is_a_function_and_a_package(tmp_path):
    with pytest.raises(RecipeError, match=r"^oracle has nothing to train"):
        blurbench.train("oracle", tmp_path, tmp_path / "w.safetensors")
    assert blurbench.train.losses.squared
