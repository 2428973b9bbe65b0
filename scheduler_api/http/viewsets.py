"""Base view sets: strict query parameters, standard operations, dry runs, idempotency."""

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
    refuse_invalid_tags,
    refuse_stale,
)
from scheduler_api.http.fields import FlagText, in_utc
from scheduler_api.http.filtering import read_query, refuse_unknown_parameters, repeatable_in
from scheduler_api.http.parsing import DEFAULT_MAX_BYTES, parse_body, refuse_unknown_length
from scheduler_api.http.problems import Problem
from scheduler_api.http.request_bounds import refuse_large_head
from scheduler_api.http.serializers import StrictSerializer

# The scope of operations that every account may use.
ANY_KEY = ""
METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
DRY_RUN = "dry_run"
SLOTS_OF_A_DRY_RUN = 5


class DryRunQuery(StrictSerializer):
    """Query parameters of every write."""

    dry_run = FlagText(
        default=False,
        help_text="If `true`, validates the request and returns the result, but stores nothing.",
    )


class ApiViewSet(GenericViewSet[Any]):
    """Base of all view sets of the API; it refuses undeclared query parameters.

    `resource` is the name of the resource in prose and, in camel case, in operation ids.
    """

    resource: ClassVar[str]
    tag: ClassVar[str]
    ordering_fields: ClassVar[tuple[str, ...]] = ("id",)
    max_body_bytes: ClassVar[int] = DEFAULT_MAX_BYTES
    # Fields that change while the definition stays the same, and so are no part of its ETag.
    volatile_fields: ClassVar[frozenset[str]] = frozenset()
    # By action: its scope, its query parameters, and the problems that only it returns.
    scopes: ClassVar[Mapping[str, str]] = {}
    queries: ClassVar[Mapping[str, type[StrictSerializer]]] = {}
    problems: ClassVar[Mapping[str, tuple[type[Problem], ...]]] = {}
    # Actions whose responses have a secret, which is not stored for idempotent repeats.
    actions_with_secrets: ClassVar[frozenset[str]] = frozenset()
    # Actions that change nothing although their method is not GET.
    safe_actions: ClassVar[frozenset[str]] = frozenset()
    # Fields that only a stored row has; null in the response to a dry run.
    fields_of_stored_rows: ClassVar[tuple[str, ...]] = ("id",)
    # Actions that return a page, and so take the parameters of the list.
    paged_actions: ClassVar[frozenset[str]] = frozenset({"list"})
    # Actions that take the filters of the list and parameters of their own.
    filtered_actions: ClassVar[frozenset[str]] = frozenset()
    # The end of summaries and operation ids where another view set finds the same rows by id.
    found_by: ClassVar[str] = ""
    # The schema of the id in the URL.
    id_schema: ClassVar[Mapping[str, object]] = {"type": "integer", "minimum": 1}
    # Whether a row has slots; a dry run then returns the next ones.
    has_slots: ClassVar[bool] = False
    # Whether rows belong to several accounts. A request that is refused then locks none of them.
    has_shared_rows: ClassVar[bool] = False

    http_method_names = ["get", "post", "put", "patch", "delete", "head"]
    post: Callable[..., Any]  # the action that a POST is routed to
    lookup_value_regex = "[0-9]{1,18}"  # fits int() and the id columns of all databases

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse an unreadable request; wrap the action of a dry run or an idempotent request.

        The body is read and parsed here, before any action begins a transaction: a caller that
        sends it slowly, or never, holds no lock.
        """
        refuse_large_head(request)
        super().initial(request, *args, **kwargs)
        if self.action not in self.action_map.values():
            return  # the method is refused next, before any other check
        refuse_unknown_length(request.headers)
        refuse_invalid_tags(request)
        refuse_unknown_parameters(
            request, self.known_parameters(), repeatable=repeatable_in(self.filters())
        )
        self.is_dry_run = DRY_RUN in request.query_params and self.read_dry_run()
        is_idempotent = idempotency.applies_to(request)
        if request.method in METHODS_WITH_BODY:
            parse_body(request, is_kept=is_idempotent)
        if self.is_dry_run:  # has no effect, and so uses no key
            method = str(request.method).lower()
            setattr(self, method, partial(self.run_dry, getattr(self, method)))
        elif is_idempotent:
            self.post = partial(self.respond_once, self.post)

    def run_dry(
        self, action: Callable[..., Response], request: Request, **address: str
    ) -> Response:
        """Run an action with all its checks, and roll it back."""
        with transaction.atomic():
            response = action(request, **address)
            transaction.set_rollback(True)
        return response

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Add `request.response_headers` to every response, including refusals and replays."""
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in getattr(request, "response_headers", {}).items():
            response[name] = value
        return response

    def respond_once(
        self, action: Callable[..., Response], request: Request, **address: str
    ) -> HttpResponse:
        """Run an action, or replay its stored response."""
        finalize = super().finalize_response  # the stored response has no headers of this request

        def handle() -> HttpResponse:
            response = finalize(request, action(request, **address))
            response.render()
            return response

        has_secret = self.action in self.actions_with_secrets
        return idempotency.respond_once(request, handle, has_secret=has_secret)

    def known_parameters(self) -> set[str]:
        """Return the names of this operation's query parameters."""
        known = set(self.queries[self.action]().fields) if self.action in self.queries else set()
        if self.writes(str(self.request.method)):
            known.add(DRY_RUN)
        if self.action in self.filtered_actions:
            return {*known, *self.filters()}
        if self.action not in self.paged_actions or self.paginator is None:
            return known
        return {*self.filters(), *getattr(self.paginator, "parameters", ())}

    def filters(self) -> Mapping[str, object]:
        """Return the filters of this operation, by name."""
        if self.action not in self.paged_actions | self.filtered_actions:
            return {}
        filterset = getattr(self, "filterset_class", None)
        return dict(getattr(filterset, "base_filters", {}))

    def writes(self, method: str) -> bool:
        """Return whether an action changes data, and so takes `dry_run`."""
        return method not in SAFE_METHODS and self.action not in self.safe_actions

    def read_dry_run(self) -> bool:
        """Return the parameter `dry_run`; raise InvalidQuery."""
        query = DryRunQuery(data={DRY_RUN: self.request.query_params[DRY_RUN]})
        return bool(read_query(query)[DRY_RUN])

    def read_query(self) -> dict[str, Any]:
        """Return the validated query parameters of this action, without filters."""
        query, sent = self.queries[self.action], self.request.query_params.dict()
        own = query().fields.keys()
        return read_query(query(data={name: value for name, value in sent.items() if name in own}))

    def locked_object(self, *, to_delete: bool = False) -> Any:
        """Return the object at this URL, locked until the transaction ends.

        Only a deletion locks the key of the row, too: others may refer to the row meanwhile.
        """
        rows = self.get_queryset().select_for_update(of=("self",), no_key=not to_delete)
        return get_object_or_404(rows, **{self.lookup_field: self.kwargs[self.lookup_field]})

    def answer_page(self) -> Response:
        """Return a page of the rows that the filters select."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        serializer = self.get_serializer(page, many=True)
        return self.get_paginated_response(serializer.data)

    def read(self, data: Mapping[str, object]) -> Response:
        """Return the response to a GET, or 304 if the caller has the definition already."""
        return self.answer_definition(data, self.etag(data))

    def answer_definition(self, data: Mapping[str, object], etag: str) -> Response:
        """Return a definition with this entity tag, or 304 if the caller has it already."""
        if is_unchanged(self.request, etag):
            return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": etag})
        return Response(data, headers={"ETag": etag})

    def answer_created(self, pk: int, data: Mapping[str, object]) -> Response:
        """Return a new definition and its URL; a dry run has neither id nor URL."""
        if self.is_dry_run:
            unknown = dict.fromkeys(data.keys() & {*self.fields_of_stored_rows})
            return Response({**data, **unknown})
        address = reverse(f"{self.basename}-detail", args=[pk], request=self.request)
        headers = {"Location": address, "ETag": self.etag(data)}
        return Response(data, status.HTTP_201_CREATED, headers=headers)

    def etag(self, data: Mapping[str, object]) -> str:
        """Return the entity tag of a definition, without its volatile fields."""
        return etag_of(
            {name: value for name, value in data.items() if name not in self.volatile_fields}
        )


class ListRetrieveViewSet(ApiViewSet):
    """A resource with read operations."""

    def list(self, request: Request) -> Response:
        """Return a page; follow `next` for more."""
        return self.answer_page()

    def retrieve(self, request: Request, **address: str) -> Response:
        """Return one by its id, or 304 if `If-None-Match` has its ETag."""
        return self.read(self.get_serializer(self.get_object()).data)


class CrudViewSet(ListRetrieveViewSet):
    """A resource with read and write operations; `store` and `remove` call its actions."""

    def store(self, serializer: Any) -> Model:
        """Store the data of a valid serializer, and return the row."""
        raise NotImplementedError

    def remove(self, row: Any) -> None:
        """Delete a locked row."""
        raise NotImplementedError

    def create(self, request: Request) -> Response:
        """Create one; `Location` is its URL."""
        return self.make(request.data)

    def update(self, request: Request, **address: str) -> Response:
        """Replace all fields; an omitted field gets its default."""
        return self.lock_and_change(request.data, partial=False)

    def partial_update(self, request: Request, **address: str) -> Response:
        """Change the fields in the body; others stay the same."""
        return self.lock_and_change(request.data, partial=True)

    def destroy(self, request: Request, **address: str) -> Response:
        """Delete permanently."""
        if self.has_shared_rows:
            row = self.get_object()
            self.refuse_stale(row)
            self.refuse_removal(row)
        with transaction.atomic():
            row = self.locked_object(to_delete=True)
            self.refuse_stale(row)
            self.remove(row)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def lock_and_change(self, data: Any, *, partial: bool) -> Response:
        """Change the row at this URL.

        A shared row is checked twice. Without the first check, an account that may not change the
        row could lock it all the time; the row may change before the second.
        """
        if self.has_shared_rows:
            self.refuse_change(self.check_change(self.get_object(), data, partial=partial))
        with transaction.atomic():
            return self.change(self.locked_object(), data, partial=partial)

    def make(self, data: Any) -> Response:
        """Validate a new row and store it."""
        serializer = self.get_serializer(data=data)
        serializer.is_valid(raise_exception=True)
        row = self.store(serializer)
        return self.answer_created(row.pk, self.description_of(row))

    def change(self, row: Any, data: Any, *, partial: bool) -> Response:
        """Validate the change of a locked row and store it."""
        return self.answer(self.store(self.check_change(row, data, partial=partial)))

    def check_change(self, row: Any, data: Any, *, partial: bool) -> Any:
        """Return a valid serializer of the change of a row; raise what refuses it."""
        self.refuse_stale(row)
        serializer = self.get_serializer(row, data=data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return serializer

    def refuse_change(self, serializer: Any) -> None:
        """Raise what `store` raises for the valid change of a shared row."""

    def refuse_removal(self, row: Any) -> None:
        """Raise what `remove` raises for a shared row."""

    def refuse_stale(self, row: Any) -> None:
        """Raise RevisionMismatch if `If-Match` is not the current ETag of the row."""
        if expects_revision(self.request):
            refuse_stale(self.request, self.etag(self.get_serializer(row).data))

    def answer(self, row: Model) -> Response:
        """Return a row as it is now in the database."""
        data = self.description_of(row)
        return Response(data, headers={} if self.is_dry_run else {"ETag": self.etag(data)})

    def description_of(self, row: Model) -> dict[str, Any]:
        """Serialize a row as it is now in the database."""
        return self.describe(self.get_queryset().get(pk=row.pk))

    def describe(self, stored: Any) -> dict[str, Any]:
        """Serialize a fetched row; in a dry run, with its next slots."""
        data: dict[str, Any] = self.get_serializer(stored).data
        if self.is_dry_run and self.has_slots:
            slots = self.slots_of(stored, count=SLOTS_OF_A_DRY_RUN)
            return {**data, "upcoming": [in_utc(slot) for slot in slots]}
        return data

    def slots_of(self, row: Any, *, count: int) -> list[datetime]:
        """Return the next slots of a row with slots."""
        raise NotImplementedError
