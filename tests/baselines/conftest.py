"""Torch on one thread, and no weights of the user's own."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def everywhere(one_thread):
    """In each file of this folder."""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    """Methods look for weights in the user's cache."""
    monkeypatch.setenv("BLURBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "no-cache"))
