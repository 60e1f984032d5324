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


@pytest.fixture(scope="session")
def rewound(tmp_path_factory: pytest.TempPathFactory) -> tuple[TestClient, str, Path]:
    """A lab over one run with snapshots: the client, the run's id and its folder."""
    folder = tmp_path_factory.mktemp("rewound")
    run = small_run(folder, "gpt", train={"steps": 6, "evals": 2, "snapshots": 4})
    lab = client(folder, tmp_path_factory.mktemp("page"))
    return lab, lab.get("/api/runs").json()["runs"][0]["id"], run
