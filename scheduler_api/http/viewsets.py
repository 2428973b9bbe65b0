"""The view sets that every resource is made of: strict queries, standard operations."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import GenericViewSet

from scheduler_api.http import idempotency
from scheduler_api.http.etags import etag_of, expects_revision, is_unchanged, refuse_stale
from scheduler_api.http.filtering import read_query, refuse_unknown_parameters
from scheduler_api.http.parsing import refuse_unknown_length
from scheduler_api.http.problems import Problem
from scheduler_api.http.serializers import StrictSerializer

# The scope of what every caller may do.
ANY_KEY = ""


class ApiViewSet(GenericViewSet[Any]):
    """Views of one resource, which take no query parameter that they do not declare.

    `resource` is its name in prose and, in camel case, in operation ids.
    """

    resource: ClassVar[str]
    tag: ClassVar[str]
    ordering_fields: ClassVar[tuple[str, ...]] = ("id",)
    # What changes by itself while the definition stays, and so is no part of its ETag.
    volatile_fields: ClassVar[frozenset[str]] = frozenset()
    # By action: the scope that a caller needs, the query parameters it takes, and the problems
    # that only it can answer with.
    scopes: ClassVar[Mapping[str, str]] = {}
    queries: ClassVar[Mapping[str, type[StrictSerializer]]] = {}
    problems: ClassVar[Mapping[str, tuple[type[Problem], ...]]] = {}
    # Actions whose answers have a secret, which is not kept for those who ask twice.
    secret_answers: ClassVar[frozenset[str]] = frozenset()

    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    post: Callable[..., Any]  # the action of a POST, whatever its name
    lookup_value_regex = "[0-9]{1,18}"  # what int() reads, and every database

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what cannot be read before anything is done."""
        super().initial(request, *args, **kwargs)
        refuse_unknown_length(request.headers)
        refuse_unknown_parameters(request, self.known_parameters())
        if self.action and idempotency.applies_to(request):
            self.post = partial(self.answer_once, self.post)

    def answer_once(
        self, action: Callable[..., Response], request: Request, **address: str
    ) -> HttpResponse:
        """Carry out an action, unless the same request has been answered before."""

        def carry_out() -> HttpResponse:
            response = self.finalize_response(request, action(request, **address))
            response.render()
            return response

        has_secret = self.action in self.secret_answers
        return idempotency.answer_once(request, carry_out, has_secret=has_secret)

    def known_parameters(self) -> set[str]:
        """Return the names of the query parameters that this operation takes."""
        if query := self.queries.get(self.action):
            return set(query().fields)
        if self.action != "list" or self.paginator is None:
            return set()
        filters = getattr(getattr(self, "filterset_class", None), "base_filters", {})
        return {*filters, *getattr(self.paginator, "parameters", ())}

    def read_query(self) -> dict[str, Any]:
        """Return the query parameters of this action, checked."""
        return read_query(self.queries[self.action](data=self.request.query_params.dict()))

    def locked_object(self) -> Any:
        """Return the object at this address, locked until the transaction ends."""
        rows = self.get_queryset().select_for_update(of=("self",))
        return get_object_or_404(rows, pk=self.kwargs["pk"])

    def read(self, data: Mapping[str, object]) -> Response:
        """Answer a GET with a definition, unless the caller has it already."""
        etag = self.etag(data)
        if is_unchanged(self.request, etag):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": etag})
        return Response(data, headers={"ETag": etag})

    def etag(self, data: Mapping[str, object]) -> str:
        """Return the entity tag of an answer: of its definition, not of how it is running."""
        return etag_of(
            {name: value for name, value in data.items() if name not in self.volatile_fields}
        )


class ListRetrieveViewSet(ApiViewSet):
    """A resource that can be read."""

    def list(self, request: Request) -> Response:
        """Answer with one page; follow `next` for the others."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        serializer = self.get_serializer(page, many=True)
        return self.get_paginated_response(serializer.data)

    def retrieve(self, request: Request, **address: str) -> Response:
        """Answer with the whole of one; with 304 to a caller who has it already."""
        return self.read(self.get_serializer(self.get_object()).data)


class CrudViewSet(ListRetrieveViewSet):
    """A resource that can also be written; what a write does is left to its actions."""

    def store(self, serializer: Any) -> Model:
        """Store what a valid serializer describes, and return the row."""
        raise NotImplementedError

    def remove(self, row: Any) -> None:
        """Remove a row, which is locked."""
        raise NotImplementedError

    def create(self, request: Request) -> Response:
        """Store a new one; `Location` tells its address."""
        return self.make(request.data)

    @transaction.atomic
    def update(self, request: Request, **address: str) -> Response:
        """Replace the whole: a field that is left out goes back to its default."""
        return self.change(self.locked_object(), request.data, partial=False)

    @transaction.atomic
    def partial_update(self, request: Request, **address: str) -> Response:
        """Change the fields that are sent, and no others."""
        return self.change(self.locked_object(), request.data, partial=True)

    @transaction.atomic
    def destroy(self, request: Request, **address: str) -> Response:
        """Delete it for good."""
        row = self.locked_object()
        self.refuse_stale(row)
        self.remove(row)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def make(self, data: Any) -> Response:
        """Check the values of a new row, and store it."""
        serializer = self.get_serializer(data=data)
        serializer.is_valid(raise_exception=True)
        row = self.store(serializer)
        response = self.answer(row, status.HTTP_201_CREATED)
        address = reverse(f"{self.basename}-detail", args=[row.pk], request=self.request)
        response["Location"] = address
        return response

    def change(self, row: Any, data: Any, *, partial: bool) -> Response:
        """Check the values against a row that nobody else can change meanwhile, and store."""
        self.refuse_stale(row)
        serializer = self.get_serializer(row, data=data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return self.answer(self.store(serializer))

    def refuse_stale(self, row: Any) -> None:
        """Raise unless the caller has seen the row as it is, where he says what he has seen."""
        if expects_revision(self.request):
            refuse_stale(self.request, self.etag(self.get_serializer(row).data))

    def answer(self, row: Model, status: int = status.HTTP_200_OK) -> Response:
        """Answer with a row as it now stands in the database."""
        data = self.get_serializer(self.get_queryset().get(pk=row.pk)).data
        return Response(data, status, headers={"ETag": self.etag(data)})
