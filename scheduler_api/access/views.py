"""View sets of service accounts, API keys and audit entries."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from scheduler_api.access import actions, schema  # noqa: F401 - registers itself
from scheduler_api.access.filters import AuditEntryFilter
from scheduler_api.access.models import ApiKey, AuditEntry, ServiceAccount
from scheduler_api.access.permissions import account_of, caller_of
from scheduler_api.access.scopes import Scope, crud
from scheduler_api.access.serializers import (
    ApiKeySerializer,
    AuditEntrySerializer,
    NewApiKeySerializer,
    ServiceAccountSerializer,
)
from scheduler_api.http.viewsets import CrudViewSet, ListRetrieveViewSet


class ServiceAccountViewSet(CrudViewSet):
    """Service accounts: the services, scripts and people that call the API."""

    resource = "service account"
    tag = "Access"
    queryset = ServiceAccount.objects.all()
    serializer_class = ServiceAccountSerializer
    ordering_fields = ("id", "name", "created_at")
    scopes: ClassVar = crud(read=Scope.ADMIN, write=Scope.ADMIN)
    problems: ClassVar = {
        "create": (actions.AccountNameTaken,),
        "update": (actions.AccountNameTaken, actions.LastAdmin),
        "partial_update": (actions.AccountNameTaken, actions.LastAdmin),
        "destroy": (actions.AccountInUse, actions.LastAdmin),
    }

    def store(self, serializer: Any) -> ServiceAccount:
        """Create an account, or change the serializer's."""
        account = serializer.instance or ServiceAccount()
        for field, value in serializer.validated_data.items():
            setattr(account, field, value)
        actions.store_account(account, by=caller_of(self.request))
        return account

    def remove(self, row: ServiceAccount) -> None:
        """Delete an account that owns no periodic tasks."""
        actions.delete_account(row, by=caller_of(self.request))


class ApiKeyViewSet(ListRetrieveViewSet):
    """API keys of all accounts, without their texts."""

    resource = "API key"
    tag = "Access"
    queryset = ApiKey.objects.all()
    serializer_class = ApiKeySerializer
    ordering_fields = ("id", "created_at", "expires_at", "last_used_at")
    volatile_fields = frozenset({"last_used_at", "key"})
    scopes: ClassVar = {**crud(read=Scope.ADMIN, write=Scope.ADMIN), "revoke": Scope.ADMIN}
    problems: ClassVar = {"create": (actions.TooManyKeys,), "revoke": (actions.LastAdmin,)}
    actions_with_secrets: ClassVar = frozenset({"create"})
    fields_of_stored_rows = ("id", "prefix", "key")

    @extend_schema(request=NewApiKeySerializer, responses={201: NewApiKeySerializer})
    def create(self, request: Request) -> Response:
        """Create an API key.

        Only this response contains the key itself.
        """
        serializer = NewApiKeySerializer(data=request.data, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        key, text = actions.issue_key(
            values["service_account"], expires_at=values["expires_at"], by=caller_of(request)
        )
        key.key = text  # type: ignore[attr-defined]
        return self.answer_created(key.pk, NewApiKeySerializer(key).data)

    @extend_schema(request=None, responses=ApiKeySerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, **address: str) -> Response:
        """Revoke an API key.

        From now on, requests with the key get 401. The key stays in the list.
        """
        key = self.get_object()
        actions.revoke_key(key, by=caller_of(request))
        return Response(self.get_serializer(self.get_queryset().get(pk=key.pk)).data)


class AuditEntryViewSet(ListRetrieveViewSet):
    """The audit log: changes over the API, newest first."""

    resource = "audit entry"
    tag = "Access"
    queryset = AuditEntry.objects.all()
    serializer_class = AuditEntrySerializer
    filterset_class = AuditEntryFilter
    ordering_fields = ("-id", "at")
    scopes: ClassVar = dict.fromkeys(("list", "retrieve"), Scope.AUDIT_READ)

    def get_queryset(self) -> QuerySet[Any]:
        """Return the caller's entries; for `admin`, the entries of all accounts."""
        entries = super().get_queryset()
        account = account_of(self.request)
        return entries if account.is_admin else entries.filter(service_account=account)
