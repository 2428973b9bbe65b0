"""A task with string hints, one of which names an import for the type checker only."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from pydantic import BaseModel

if TYPE_CHECKING:
    from decimal import Decimal


class Parcel(BaseModel):
    weight: float


def task(parcels: list[Parcel], price: Decimal, note: str | None = None) -> None: ...


@functools.wraps(task)
def decorated(*args: object, **kwargs: object) -> None:
    return task(*args, **kwargs)


EXPECTED = {
    "parcels": {"type": "array", "items": {"$ref": "#/$defs/Parcel"}},
    "price": {},
    "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
}
