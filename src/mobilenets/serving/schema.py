"""What goes over the wire, as `/openapi.json` describes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class ClassProbability(BaseModel):
    """A class and its probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class Answer(BaseModel):
    """What one picture shows; or, of a picture among several that cannot be answered, why."""

    name: str | None = Field(description="the file name the client gave; null for a raw body")
    label: str | None = None
    probability: float | None = None
    top: list[ClassProbability] | None = Field(None, description="best first")
    overlay: str | None = Field(None, description="with explain: a PNG to lay over the picture, in base64")
    error: str | None = Field(None, description="one sentence")
    code: str | None = None


class Answers(BaseModel):
    """The answers of a request, in its order."""

    model: str
    results: list[Answer]
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
    classes: list[str]
    size: int = Field(description="side of the network's input in pixels")
    explains: bool
    limits: Bounds


class Health(BaseModel):
    """That the server answers."""

    status: str


_BINARY = {"type": "string", "format": "binary"}
_TEXT = {"type": "string", "description": "a picture in base64, or a data URL with base64"}
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
        (400, "no picture in the request, or a malformed form, JSON or base64"),
        (408, "the request arrived too slowly"),
        (413, "too many bytes, pictures or pixels"),
        (415, "not a picture"),
        (422, "a damaged picture, or a parameter out of range"),
        (503, "no room for more work; Retry-After says when to come back"),
        (504, "no answer in time"),
    )
}
