"""What goes over the wire, as `/openapi.json` describes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, create_model

from mobilenets.tasks.task import Task


class Answer(BaseModel):
    """What one picture shows; or, of a picture among several that cannot be answered, why."""

    name: str | None = Field(description="the file name the client gave; null for a raw body")
    overlay: str | None = Field(None, description="with explain: a PNG to lay over the photo, in base64")
    error: str | None = Field(None, description="one sentence")
    code: str | None = None


def answers_of(task: Task[Any]) -> type[BaseModel]:
    """The answers of a request, in its order, each with what `task` says of a picture."""
    fields: dict[str, Any] = {name: (kind | None, None) for name, kind in task.fields.items()}
    answer = create_model("Answer", __base__=Answer, **fields)
    took = Field(description="from the last byte of the request to the answer")
    answers: Any = list[answer]  # type: ignore[valid-type]  # a class that is made here
    return create_model("Answers", model=(str, ...), results=(answers, ...), milliseconds=(float, took))


class Match(BaseModel):
    """A photo that is like the one that was asked about."""

    path: str = Field(description="below the folder of the data, or the file's name")
    similarity: float = Field(description="up to 1, for the same photo")


class AlikeResult(BaseModel):
    """The photos most like one picture, the most similar first; or why that picture cannot be answered."""

    name: str | None = Field(description="the file name the client gave; null for a raw body")
    similar: list[Match] | None = None
    error: str | None = Field(None, description="one sentence")
    code: str | None = None


class Alike(BaseModel):
    """The answers of `/similar`, in the order of the request."""

    model: str
    results: list[AlikeResult]
    milliseconds: float = Field(description="from the last byte of the request to the answer")


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="one sentence")
    code: str = Field(description="for programs")


class Bounds(BaseModel):
    """What a request may hold."""

    bytes: int
    pictures: int
    pixels: int


class Model(BaseModel):
    """The model that answers."""

    name: str
    task: str = Field(description="classify, multilabel, detect or anomaly, for example: what /predict answers")
    classes: list[str]
    thresholds: list[float] = Field(description="of each label, or of the score; empty where there are none")
    size: int = Field(description="side of the network's input in pixels")
    explains: bool
    finds_alike: bool = Field(description="whether it answers /similar")
    limits: Bounds


class Health(BaseModel):
    """That the server answers."""

    status: str


_BINARY = {"type": "string", "format": "binary"}
_TEXT = {"type": "string", "description": "a photo in base64, or a data URL with base64"}
IMAGES: dict[str, Any] = {
    "required": True,
    "content": {
        "application/octet-stream": {"schema": _BINARY},
        "image/*": {"schema": _BINARY},
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"image": _TEXT, "images": {"type": "array", "items": _TEXT}},
                "anyOf": [{"required": ["image"]}, {"required": ["images"]}],
            }
        },
        "text/plain": {"schema": {"type": "string", "description": "a data URL with base64"}},
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"image": {"type": "array", "items": _BINARY}}}
        },
    },
}
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in (
        (400, "no photo in the request, or a malformed form, JSON or base64"),
        (408, "the request arrived too slowly"),
        (413, "too many bytes, photos or pixels"),
        (415, "not a photo"),
        (422, "a damaged photo, or a parameter out of range"),
        (503, "no room for more work; Retry-After says when to come back"),
        (504, "no answer in time"),
    )
}
