"""The view sets that every resource is made of: strict queries, standard operations."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from rest_framework import status
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.viewsets import GenericViewSet

from scheduler_api.http import idempotency
from scheduler_api.http.etags import (
    etag_of,
    expects_revision,
    is_unchanged,
    refuse_stale,
    refuse_unreadable_tags,
)
from scheduler_api.http.fields import FlagText, in_utc
from scheduler_api.http.filtering import read_query, refuse_unknown_parameters, repeatable_in
from scheduler_api.http.parsing import DEFAULT_MAX_BYTES, refuse_unknown_length
from scheduler_api.http.problems import Problem
from scheduler_api.http.serializers import StrictSerializer

# The scope of what every caller may do.
ANY_KEY = ""
DRY_RUN = "dry_run"
SLOTS_OF_A_DRY_RUN = 5


class DryRunQuery(StrictSerializer):
    """What every write takes."""

    dry_run = FlagText(
        default=False,
        help_text="`true` to check everything, change nothing, and see what would be.",
    )


class ApiViewSet(GenericViewSet[Any]):
    """Views of one resource, which take no query parameter that they do not declare.

    `resource` is its name in prose and, in camel case, in operation ids.
    """

    resource: ClassVar[str]
    tag: ClassVar[str]
    ordering_fields: ClassVar[tuple[str, ...]] = ("id",)
    max_body_bytes: ClassVar[int] = DEFAULT_MAX_BYTES
    # What changes by itself while the definition stays, and so is no part of its ETag.
    volatile_fields: ClassVar[frozenset[str]] = frozenset()
    # By action: the scope that a caller needs, the query parameters it takes, and the problems
    # that only it can answer with.
    scopes: ClassVar[Mapping[str, str]] = {}
    queries: ClassVar[Mapping[str, type[StrictSerializer]]] = {}
    problems: ClassVar[Mapping[str, tuple[type[Problem], ...]]] = {}
    # Actions whose answers have a secret, which is not kept for those who ask twice.
    secret_answers: ClassVar[frozenset[str]] = frozenset()
    # Actions that change nothing, though they are no GET.
    questions: ClassVar[frozenset[str]] = frozenset()
    # What is known only when a row is stored; null in the answer to a dry run.
    made_when_stored: ClassVar[tuple[str, ...]] = ("id",)
    # Actions that answer with a page, and so take what the list of all does.
    pages: ClassVar[frozenset[str]] = frozenset({"list"})
    # Actions that take the filters of a list beside parameters of their own.
    filtered: ClassVar[frozenset[str]] = frozenset()
    # What the id in an address is, for the schema.
    id_schema: ClassVar[Mapping[str, object]] = {"type": "integer", "minimum": 1}
    # Whether a row has slots, of which a dry run tells the next ones.
    has_slots: ClassVar[bool] = False

    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    post: Callable[..., Any]  # the action of a POST, whatever its name
    lookup_value_regex = "[0-9]{1,18}"  # what int() reads, and every database

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse what cannot be read before anything is done."""
        super().initial(request, *args, **kwargs)
        if self.action not in self.action_map.values():
            return  # the method is refused next, whatever else there is to refuse
        refuse_unknown_length(request.headers)
        refuse_unreadable_tags(request)
        refuse_unknown_parameters(
            request, self.known_parameters(), repeatable=repeatable_in(self.filters())
        )
        self.is_dry_run = DRY_RUN in request.query_params and self.read_dry_run()
        has_one_effect = idempotency.applies_to(request)
        if self.is_dry_run:  # which has none, and so uses up no key
            method = str(request.method).lower()
            setattr(self, method, partial(self.rehearse, getattr(self, method)))
        elif has_one_effect:
            self.post = partial(self.answer_once, self.post)

    def rehearse(
        self, action: Callable[..., Response], request: Request, **address: str
    ) -> Response:
        """Carry out an action with all its checks, and undo it."""
        with transaction.atomic():
            response = action(request, **address)
            transaction.set_rollback(True)
        return response

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Add `request.answer_headers` to whatever is answered, a refusal or a repeat, too."""
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in getattr(request, "answer_headers", {}).items():
            response[name] = value
        return response

    def answer_once(
        self, action: Callable[..., Response], request: Request, **address: str
    ) -> HttpResponse:
        """Carry out an action, unless the same request has been answered before."""
        finalize = super().finalize_response  # what is kept has no headers of this request alone

        def carry_out() -> HttpResponse:
            response = finalize(request, action(request, **address))
            response.render()
            return response

        has_secret = self.action in self.secret_answers
        return idempotency.answer_once(request, carry_out, has_secret=has_secret)

    def known_parameters(self) -> set[str]:
        """Return the names of the query parameters that this operation takes."""
        known = set(self.queries[self.action]().fields) if self.action in self.queries else set()
        if self.writes(str(self.request.method)):
            known.add(DRY_RUN)
        if self.action in self.filtered:
            return {*known, *self.filters()}
        if self.action not in self.pages or self.paginator is None:
            return known
        return {*self.filters(), *getattr(self.paginator, "parameters", ())}

    def filters(self) -> Mapping[str, object]:
        """Return what this operation filters its list by, by name."""
        if self.action not in self.pages | self.filtered:
            return {}
        filterset = getattr(self, "filterset_class", None)
        return dict(getattr(filterset, "base_filters", {}))

    def writes(self, method: str) -> bool:
        """Tell whether an action changes something, and so takes `dry_run`."""
        return method not in SAFE_METHODS and self.action not in self.questions

    def read_dry_run(self) -> bool:
        """Return whether nothing is to be changed; raise InvalidQuery."""
        query = DryRunQuery(data={DRY_RUN: self.request.query_params[DRY_RUN]})
        return bool(read_query(query)[DRY_RUN])

    def read_query(self) -> dict[str, Any]:
        """Return the query parameters of this action, checked; filters are read by themselves."""
        query, sent = self.queries[self.action], self.request.query_params.dict()
        own = query().fields.keys()
        return read_query(query(data={name: value for name, value in sent.items() if name in own}))

    def locked_object(self) -> Any:
        """Return the object at this address, locked until the transaction ends."""
        rows = self.get_queryset().select_for_update(of=("self",))
        return get_object_or_404(rows, pk=self.kwargs["pk"])

    def answer_page(self) -> Response:
        """Answer with a page of those rows that the filters select."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        serializer = self.get_serializer(page, many=True)
        return self.get_paginated_response(serializer.data)

    def read(self, data: Mapping[str, object]) -> Response:
        """Answer a GET with a definition, unless the caller has it already."""
        return self.answer_definition(data, self.etag(data))

    def answer_definition(self, data: Mapping[str, object], etag: str) -> Response:
        """Answer with a definition that has this tag, or with 304 to one who knows it."""
        if is_unchanged(self.request, etag):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": etag})
        return Response(data, headers={"ETag": etag})

    def answer_created(self, pk: int, data: Mapping[str, object]) -> Response:
        """Answer with a new definition and its address; a dry run has neither id nor address."""
        if self.is_dry_run:
            return Response({**data, **dict.fromkeys(self.made_when_stored)})
        address = reverse(f"{self.basename}-detail", args=[pk], request=self.request)
        headers = {"Location": address, "ETag": self.etag(data)}
        return Response(data, status.HTTP_201_CREATED, headers=headers)

    def etag(self, data: Mapping[str, object]) -> str:
        """Return the entity tag of an answer: of its definition, not of how it is running."""
        return etag_of(
            {name: value for name, value in data.items() if name not in self.volatile_fields}
        )


class ListRetrieveViewSet(ApiViewSet):
    """A resource that can be read."""

    def list(self, request: Request) -> Response:
        """Answer with one page; follow `next` for the others."""
        return self.answer_page()

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
        return self.answer_created(row.pk, self.description_of(row))

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

    def answer(self, row: Model) -> Response:
        """Answer with a row as it now stands in the database."""
        data = self.description_of(row)
        return Response(data, headers={} if self.is_dry_run else {"ETag": self.etag(data)})

    def description_of(self, row: Model) -> dict[str, Any]:
        """Describe a row as it now stands in the database."""
        return self.describe(self.get_queryset().get(pk=row.pk))

    def describe(self, stored: Any) -> dict[str, Any]:
        """Describe a row that was just fetched; in a dry run, with its next slots."""
        data: dict[str, Any] = self.get_serializer(stored).data
        if self.is_dry_run and self.has_slots:
            slots = self.slots_of(stored, count=SLOTS_OF_A_DRY_RUN)
            return {**data, "upcoming": [in_utc(slot) for slot in slots]}
        return data

    def slots_of(self, row: Any, *, count: int) -> list[datetime]:
        """Return the next slots of a row that has slots."""
        raise NotImplementedError
