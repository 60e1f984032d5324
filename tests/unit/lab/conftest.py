"""Runs of the families for the lab's tests: two that are trained here, two that come with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from glassgpt.explain.context import BUILTIN
from helpers.explain_runs import small_run
from helpers.lab_runs import client


@pytest.fixture(scope="session")
def lab_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of each family."""
    folder = tmp_path_factory.mktemp("lab") / "runs"
    for family in ("encoder", "bigram"):
        material = tmp_path_factory.mktemp(family)
        shutil.copytree(small_run(material, family), folder / family)
    for name in ("text", "dates", "scenes"):
        shutil.copytree(BUILTIN / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def lab(lab_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """A client with the token."""
    return client(lab_runs, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def ids(lab: TestClient) -> dict[str, str]:
    """Ids of the runs by name."""
    return {row["name"]: row["id"] for row in lab.get("/api/runs").json()["runs"]}
