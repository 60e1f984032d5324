"""The lab's server: routes, and errors as sentences. `security` checks each request before."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse

from glassgpt.checkpoint import Run, is_locked
from glassgpt.config import problem_in_words
from glassgpt.errors import UserError
from glassgpt.lab.catalog import Catalog, UnknownRun
from glassgpt.lab.chapters import Chapters
from glassgpt.lab.opening import PAGE_FILES, page_file
from glassgpt.lab.report_page import report_page
from glassgpt.lab.requests import (
    AnswerRequest,
    ChapterRequest,
    LabelsRequest,
    NextRequest,
    ResumeRequest,
    SampleRequest,
    TraceRequest,
    TrainRequest,
)
from glassgpt.lab.security import Gate
from glassgpt.lab.studio import Studio, UnknownTrace
from glassgpt.lab.traced import UnknownTensor
from glassgpt.lab.trainings import Trainings, offered_settings
from glassgpt.language import _
from glassgpt.ram import is_out_of_memory
from glassgpt.safe_io import parse_json

POLL_S = 0.5
"""Seconds between two looks at a run that trains."""
STATUS_S = 2.0
"""Seconds between two looks at its lock."""
MAX_ROWS = 200
"""Events in one message, at most: the newest."""
Language = Literal["en", "zh"]
NOT_FOUND = (UnknownRun, UnknownTrace, UnknownTensor)


def make_app(folder: Path, page: Path, *, token: str, port: int) -> Gate:
    """Return the ASGI application for a folder of runs, behind its gate. page: the built page."""
    return Gate(make_api(folder, page), token=token, port=port)  # pyright: ignore[reportArgumentType]


def make_api(folder: Path, page: Path) -> FastAPI:
    """Return all routes, without the gate."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    studio = Studio(Catalog(folder))
    chapters = Chapters(studio.catalog)
    _add_page(app, page)
    _add_runs(app, studio)
    _add_models(app, studio, chapters)
    _add_chapters(app, chapters)
    _add_trainings(app, studio, Trainings(folder))
    _add_errors(app)
    return app


def _add_page(app: FastAPI, page: Path) -> None:
    def answer(path: str) -> Callable[[], FileResponse]:
        return lambda: page_file(page, *PAGE_FILES[path])

    for path in PAGE_FILES:
        app.add_api_route(path, answer(path), response_class=FileResponse)


def _add_runs(app: FastAPI, studio: Studio) -> None:
    @app.get("/api/runs")
    def runs() -> dict[str, Any]:
        return {"folder": str(studio.catalog.folder), "runs": studio.catalog.rows()}

    @app.get("/api/runs/{id}")
    def run(id: str) -> dict[str, Any]:
        return studio.details(id)

    @app.get("/api/runs/{id}/events")
    def events(id: str) -> StreamingResponse:
        return StreamingResponse(_events(studio.catalog.run(id)), media_type="text/event-stream")

    @app.get("/api/runs/{id}/snapshots")
    def snapshots(id: str) -> dict[str, Any]:
        return studio.catalog.snapshots(id)

    @app.post("/api/runs/{id}/examine")
    def examine(id: str) -> dict[str, Any]:
        return studio.examine(id)

    @app.get("/api/report")
    def report(run: Annotated[list[str], Query()], language: Language = "en") -> Response:
        return report_page([studio.catalog.run(id) for id in run], language)

    @app.get("/api/runs/{id}/embeddings")
    def embeddings(id: str) -> dict[str, Any]:
        return studio.embeddings(id)

    @app.get("/api/runs/{id}/vocabulary")
    def vocabulary(id: str) -> dict[str, Any]:
        return {"labels": studio.vocabulary(id)}

    @app.post("/api/runs/{id}/labels")
    def labels(id: str, asked: LabelsRequest) -> dict[str, Any]:
        return {"labels": studio.labels(id, asked.ids)}


def _add_models(app: FastAPI, studio: Studio, chapters: Chapters) -> None:
    @app.post("/api/runs/{id}/trace")
    def trace(id: str, asked: TraceRequest) -> dict[str, Any]:
        header = studio.trace(id, asked)
        chapters.looked_at(id)
        return header

    @app.post("/api/runs/{id}/next")
    def next_token(id: str, asked: NextRequest) -> dict[str, Any]:
        return studio.next(id, asked)

    @app.post("/api/runs/{id}/sample")
    def sample(id: str, asked: SampleRequest) -> dict[str, Any]:
        return studio.sample(id, asked)

    @app.get("/api/lenses/{trace}")
    def lens(trace: str, start: int = 0, stop: int | None = None) -> dict[str, Any]:
        return {"lens": studio.lens(trace, start, stop)}

    @app.get("/api/heads/{trace}")
    def heads(trace: str) -> dict[str, Any]:
        return {"heads": studio.heads(trace)}

    @app.get("/api/rows/{trace}/{row}")
    def rows(trace: str, row: int, name: Annotated[list[str], Query(max_length=1000)]) -> Response:
        return Response(studio.rows(trace, name, row), media_type="application/octet-stream")

    @app.get("/api/traces/{trace}/{name}")
    def tensor(trace: str, name: str, head: int | None = None) -> Response:
        return Response(studio.tensor(trace, name, head), media_type="application/octet-stream")


def _add_chapters(app: FastAPI, chapters: Chapters) -> None:
    @app.get("/api/chapters")
    def path(language: Language = "en") -> dict[str, Any]:
        return chapters.path(language)

    @app.post("/api/chapters/{name}")
    def read(name: str, asked: ChapterRequest) -> dict[str, Any]:
        return chapters.read(name, asked)

    @app.post("/api/chapters/{name}/notebook")
    def notebook(name: str, asked: ChapterRequest) -> dict[str, Any]:
        return chapters.notebook(name, asked)

    @app.post("/api/chapters/{name}/answer")
    def answer(name: str, asked: AnswerRequest) -> dict[str, Any]:
        return chapters.check(name, asked)


def _add_trainings(app: FastAPI, studio: Studio, trainings: Trainings) -> None:
    @app.get("/api/settings")
    def offered() -> dict[str, Any]:
        return {"settings": offered_settings()}

    @app.post("/api/plan")
    def plan(asked: TrainRequest) -> dict[str, Any]:
        return {"plan": trainings.plan(asked)}

    @app.post("/api/trainings")
    def start(asked: TrainRequest) -> dict[str, Any]:
        return {"id": trainings.start(asked)}

    @app.get("/api/trainings/{id}")
    def state(id: str) -> dict[str, Any]:
        return trainings.state(id)

    @app.post("/api/runs/{id}/stop")
    def stop(id: str) -> dict[str, Any]:
        trainings.stop(id)
        return {}

    @app.post("/api/runs/{id}/resume")
    def resume(id: str, asked: ResumeRequest) -> dict[str, Any]:
        return {"id": trainings.resume(studio.catalog.own_run(id), asked)}


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(UserError)
    async def unusable(request: Request, error: UserError) -> JSONResponse:
        return _error(str(error), 404 if isinstance(error, NOT_FOUND) else 400)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"][1:])) or "body"
        return _error(_("`{name}`: {problem}", name=name, problem=problem_in_words(first)), 400)

    @app.exception_handler(RuntimeError)
    async def full(request: Request, error: RuntimeError) -> JSONResponse:
        if not is_out_of_memory(error):
            raise error
        return _error(_("the memory is full. Close other programs, or look at a shorter text."), 409)


def _error(message: str, status: int) -> JSONResponse:
    return JSONResponse({"error": message}, status)


async def _events(run: Run) -> AsyncIterator[str]:
    """Yield new rows of a run's metrics as server-sent events, until it stops training."""
    place, shown, status_s = _end(run), "", 0.0
    while True:
        place, rows = await asyncio.to_thread(_new_rows, run, place)
        if time.monotonic() - status_s >= STATUS_S:
            status_s = time.monotonic()
            state = "training" if await asyncio.to_thread(is_locked, run.path) else "stopped"
            rows += [{"event": "status", "status": state}] if state != shown else []
            shown = state
        if rows:
            yield f"data: {json.dumps(rows)}\n\n"
        if shown == "stopped":
            return
        await asyncio.sleep(POLL_S)


def _end(run: Run) -> int:
    return run.metrics_file.stat().st_size if run.metrics_file.is_file() else 0


def _new_rows(run: Run, place: int) -> tuple[int, list[dict[str, Any]]]:
    """Return the end of the last whole line after a place, and the events up to it."""
    if _end(run) <= place:
        return place, []
    with run.metrics_file.open("rb") as file:
        file.seek(place)
        whole, newline, _rest = file.read(1 << 20).rpartition(b"\n")
    rows = []
    for line in whole.splitlines()[-MAX_ROWS:]:
        try:
            rows.append(parse_json(line, run.metrics_file))
        except UserError:
            continue
    return place + len(whole) + len(newline), rows
