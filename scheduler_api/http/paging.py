"""Keyset pagination: correct while rows change, and page 2,000 costs as much as page 1."""

from dataclasses import dataclass, replace
from typing import Any, Self

from django.core import signing
from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Model, OrderBy, Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from scheduler_api.http.problems import InvalidQuery, Mistake
from scheduler_api.http.rows import read_only

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500


@dataclass(frozen=True, kw_only=True)
class Ordering:
    """The sort order of rows: by one field, nulls last, then by id."""

    field: str
    is_descending: bool
    is_nullable: bool

    @classmethod
    def of(cls, text: str, model: type[Model]) -> Self:
        """Parse `name` or `-name`."""
        field = text.removeprefix("-")
        return cls(
            field=field,
            is_descending=text.startswith("-"),
            is_nullable=is_nullable(model, field),
        )

    def sort(self, rows: QuerySet[Any], *, backwards: bool) -> QuerySet[Any]:
        """Return the rows in this order, or exactly reversed."""
        descending = self.is_descending != backwards
        by_field = OrderBy(
            F(self.field),
            descending=descending,
            nulls_first=(self.is_nullable and backwards) or None,
            nulls_last=(self.is_nullable and not backwards) or None,
        )
        return rows.order_by(by_field, "-pk" if descending else "pk")

    def beyond(self, position: "Cursor") -> Q:
        """Select the rows after a cursor, in its direction."""
        field, value = self.field, position.value
        further = "lt" if self.is_descending != position.backwards else "gt"
        ties = Q(**{f"pk__{further}{'e' * position.is_included}": position.pk})
        is_null = Q(**{f"{field}__isnull": True})
        if value is None:
            return (is_null & ties) | ~is_null if position.backwards else is_null & ties
        # The condition "at or beyond" lets the database start from an index.
        beyond = Q(**{f"{field}__{further}e": value}) & (
            Q(**{f"{field}__{further}": value}) | ties
        )
        return beyond | is_null if self.is_nullable and not position.backwards else beyond


def is_nullable(model: type[Model], field: str) -> bool:
    """Return whether a column, or an annotation of a joined row, may be null."""
    try:
        column = model._meta.get_field(field)
    except FieldDoesNotExist:
        return True
    return bool(getattr(column, "null", False))


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """The start of a page: beyond the row with this value and id, or at it, in a direction.

    `ordering` names the list and its order: the cursor is valid for these alone.
    """

    ordering: str
    value: Any
    pk: int | str
    backwards: bool
    is_included: bool = False

    def encode(self) -> str:
        """Return the opaque text of a link, signed so that clients cannot construct one."""
        return signing.Signer(salt="cursor").sign_object([*vars(self).values()])

    @classmethod
    def decode(cls, cursor: str, ordering: str) -> Self:
        """Parse a cursor; raise InvalidQuery unless it was issued for this list and order."""
        try:
            values = signing.Signer(salt="cursor").unsign_object(cursor)
        except signing.BadSignature:
            values = [None]
        if values[0] != ordering:
            raise invalid_parameter(
                "cursor", "Use a link of a page unchanged, or start without a cursor."
            )
        return cls(**dict(zip(cls.__dataclass_fields__, values, strict=True)))


class KeysetPagination(BasePagination):
    """Pages of `{"next": link, "previous": link, "results": […]}`.

    `ordering_fields` of the view lists the fields to sort by. The first is the default; a minus
    makes its default order descending.
    """

    parameters: tuple[str, ...] = ("cursor", "page_size", "ordering")

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return the rows of one page."""
        self.request = request
        ordering = ordering_of(request, view)
        order = Ordering.of(ordering, queryset.model)
        size = page_size_of(request)
        # A cursor of another list has values of other columns.
        self.ordering = f"{queryset.model._meta.label_lower} {ordering}"
        cursor = request.query_params.get("cursor")
        start = Cursor.decode(cursor, self.ordering) if cursor else None
        backwards = start is not None and start.backwards

        rows = order.sort(queryset, backwards=backwards)
        if start:
            rows = rows.filter(order.beyond(start))
        found = list(read_only(rows[: size + 1]))
        has_more = len(found) > size
        page = found[:size][::-1] if backwards else found[:size]

        self.next = self.previous = None
        if has_more or backwards:
            self.next = self.link(order, page[-1:], start, backwards=False)
        if start and (has_more or not backwards):
            self.previous = self.link(order, page[:1], start, backwards=True)
        return page

    def link(
        self, order: Ordering, edge: list[Any], start: Cursor | None, *, backwards: bool
    ) -> str | None:
        """Return the URL of the page beyond one edge of this page."""
        if edge:
            value = getattr(edge[0], order.field)
            stored = value.isoformat() if hasattr(value, "isoformat") else value
            pk = edge[0].pk if isinstance(edge[0].pk, int) else str(edge[0].pk)
            position = Cursor(ordering=self.ordering, value=stored, pk=pk, backwards=backwards)
        elif start:
            # All rows beyond the start are deleted: turn back, starting with the row at the start.
            position = replace(start, backwards=backwards, is_included=True)
        else:
            return None
        here = self.request.build_absolute_uri()
        return replace_query_param(here, "cursor", position.encode())

    def get_paginated_response(self, data: Any) -> Response:
        """Return the page with its links."""
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe a page in OpenAPI 3.1."""
        # drf-spectacular makes the examples of pages from `example`.
        link = {"type": ["string", "null"], "format": "uri", "example": None}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {**link, "description": "URL of the next page; null on the last page."},
                "previous": {
                    **link,
                    "description": "URL of the previous page; null on the first page.",
                },
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Describe the parameters in OpenAPI."""
        return [
            {
                "name": "cursor",
                "in": "query",
                "description": "Start of the page, from `next` or `previous` of another page.",
                "schema": {"type": "string"},
            },
            {
                "name": "page_size",
                "in": "query",
                "description": "Maximum number of results per page.",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_PAGE_SIZE,
                    "default": DEFAULT_PAGE_SIZE,
                },
            },
            {
                "name": "ordering",
                "in": "query",
                "description": "Field to sort by; a minus sorts in descending order.",
                "schema": {
                    "type": "string",
                    "enum": orderings_of(view),
                    "default": orderings_of(view)[0],
                },
            },
        ]


def invalid_parameter(name: str, detail: str) -> InvalidQuery:
    """Return the refusal of a query parameter."""
    return InvalidQuery(errors=[Mistake(parameter=name, code="invalid", detail=detail)])


def orderings_of(view: APIView | None) -> list[str]:
    """Return the allowed values of `ordering`; the first is the default."""
    fields = getattr(view, "ordering_fields", ["id"])
    return [text for field in fields for text in (field, f"-{field}".removeprefix("--"))]


def ordering_of(request: Request, view: APIView | None) -> str:
    """Parse `ordering`; raise InvalidQuery."""
    allowed = orderings_of(view)
    ordering: str = request.query_params.get("ordering", allowed[0])
    if ordering not in allowed:
        raise invalid_parameter("ordering", f"Must be one of {', '.join(allowed)}.")
    return ordering


def page_size_of(request: Request) -> int:
    """Parse `page_size`; raise InvalidQuery."""
    text: str = request.query_params.get("page_size", str(DEFAULT_PAGE_SIZE))
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_PAGE_SIZE))
    if not is_number or not 1 <= int(text) <= MAX_PAGE_SIZE:
        detail = f"Must be a whole number from 1 to {MAX_PAGE_SIZE}."
        raise invalid_parameter("page_size", detail)
    return int(text)
