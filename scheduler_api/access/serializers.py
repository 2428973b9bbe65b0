"""Serializers of service accounts, API keys and audit entries."""

from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from scheduler_api.access.models import NAME_RULE, ApiKey, AuditEntry, ServiceAccount
from scheduler_api.access.scopes import Scope
from scheduler_api.http import fields
from scheduler_api.http.names import Name
from scheduler_api.http.serializers import StrictModelSerializer, unknown
from scheduler_api.openapi.bodies import examples

MAX_ENTRIES = 100
LARGEST_INTEGER = 2**31 - 1


class TextList(fields.BoundedList):
    """A set of strings, sent as a list."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("child", Name(max_length=200))
        super().__init__(max_length=MAX_ENTRIES, **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        """Return the strings sorted, each once."""
        return sorted(set(super().to_internal_value(data)))


@extend_schema_serializer(
    examples=examples(
        "Billing",
        {
            "name": "billing",
            "scopes": ["periodic-tasks:read", "periodic-tasks:write"],
            "task_patterns": ["billing.*"],
        },
        changed="scopes",
        answer={
            "id": 2,
            "name": "billing",
            "scopes": ["periodic-tasks:read", "periodic-tasks:write"],
            "task_patterns": ["billing.*"],
            "queues": [],
            "sees_unowned": False,
            "requests_per_minute": None,
            "max_periodic_tasks": None,
            "min_interval_seconds": None,
            "created_at": "2027-03-28T01:00:00Z",
        },
    )
)
class ServiceAccountSerializer(StrictModelSerializer):
    """A service, script or person that calls the API, with its scopes and limits."""

    scopes = TextList(
        child=fields.Choice(choices=Scope.choices),
        help_text="Scopes of the account; `admin` includes all others.",
    )
    task_patterns = TextList(
        default=list,
        help_text="Patterns of the tasks it may use, such as `billing.*`; empty for all tasks.",
    )
    queues = TextList(default=list, help_text="Queues it may use; empty for all queues.")

    class Meta:
        model = ServiceAccount
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "name",
            "scopes",
            "task_patterns",
            "queues",
            "sees_unowned",
            "requests_per_minute",
            "max_periodic_tasks",
            "min_interval_seconds",
            "created_at",
        )
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "name": {"validators": [NAME_RULE]},
            "requests_per_minute": {"min_value": 1, "max_value": LARGEST_INTEGER},
            "max_periodic_tasks": {"min_value": 0, "max_value": LARGEST_INTEGER},
            "min_interval_seconds": {"min_value": 1, "max_value": LARGEST_INTEGER},
            "created_at": {"read_only": True, "help_text": "Time of creation."},
        }

    def validate_queues(self, value: list[str]) -> list[str]:
        """Refuse a queue that QUEUES does not name, unless the account has it already."""
        known = {*settings.QUEUES, *(self.instance.queues if self.instance else ())}
        mistakes: dict[str, Any] = {
            str(index): [ErrorDetail(unknown("queue", name, settings.QUEUES), "unknown_queue")]
            for index, name in enumerate(self.initial_data.get("queues", ()))
            if name.strip() not in known
        }
        if mistakes:
            raise serializers.ValidationError(mistakes)
        return value


KEY_EXAMPLE = {
    "id": 1,
    "service_account": 2,
    "prefix": "1f8b3c2a",
    "created_at": "2027-03-28T01:00:00Z",
    "expires_at": "2100-01-01T00:00:00Z",
    "last_used_at": None,
    "revoked_at": None,
}


@extend_schema_serializer(
    examples=[OpenApiExample("Key", KEY_EXAMPLE, response_only=True)], component_name="ApiKey"
)
class ApiKeySerializer(StrictModelSerializer):
    """An API key of a service account, without its text."""

    service_account = fields.Reference(read_only=True, help_text="ID of the service account.")

    class Meta:
        model = ApiKey
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "service_account",
            "prefix",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        )
        read_only_fields = ("prefix", "created_at", "last_used_at", "revoked_at")
        extra_kwargs: ClassVar[dict[str, Any]] = {"created_at": {"help_text": "Time of creation."}}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Key",
            {"service_account": 2, "expires_at": "2100-01-01T00:00:00Z"},
            request_only=True,
        ),
        OpenApiExample(
            "Key",
            {**KEY_EXAMPLE, "key": "sk_1f8b3c2a_3l1hCg0zq1kqcVtT8bS7vR0mJd5yXwPnE2uF4aK6oZs"},
            response_only=True,
        ),
    ],
    component_name="NewApiKey",
)
class NewApiKeySerializer(ApiKeySerializer):
    """An API key with its text, which only this response contains."""

    key = serializers.CharField(
        read_only=True, help_text="The key itself. Store it now: it is not shown again."
    )
    service_account = fields.Reference(
        queryset=ServiceAccount.objects.all(),
        allow_null=False,
        default=serializers.empty,
        help_text="ID of the service account.",
    )

    expires_at = fields.FutureInstant(
        default=None,
        allow_null=True,
        help_text="Time of expiry, in the future; null if the key never expires.",
    )

    class Meta(ApiKeySerializer.Meta):
        fields: ClassVar[tuple[str, ...]] = (*ApiKeySerializer.Meta.fields, "key")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A change",
            {
                "id": 7,
                "at": "2027-03-28T01:00:00Z",
                "account": "crm",
                "key_prefix": "1f8b3c2a",
                "request_id": "6f1c5a52-58b2-4f0d-8d0c-1f2b7f9f4e1a",
                "operation": "change",
                "object_type": "periodic_task",
                "object_id": 1,
                "object_name": "Import customers",
                "before": {"enabled": True},
                "after": {"enabled": False},
            },
            response_only=True,
        )
    ]
)
class AuditEntrySerializer(StrictModelSerializer):
    """A change over the API: its account, time, and the fields before and after."""

    account = serializers.CharField(
        source="account_name",
        read_only=True,
        help_text="Name of the account at the time of the change.",
    )
    before = serializers.DictField(
        read_only=True,
        allow_null=True,
        help_text="Changed fields before the change; null for a new object.",
    )
    after = serializers.DictField(
        read_only=True,
        allow_null=True,
        help_text="Changed fields after the change; null for a deleted object.",
    )

    class Meta:
        model = AuditEntry
        fields: ClassVar[tuple[str, ...]] = (
            "id",
            "at",
            "account",
            "key_prefix",
            "request_id",
            "operation",
            "object_type",
            "object_id",
            "object_name",
            "before",
            "after",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "at": {"help_text": "Time of the change."},
            "key_prefix": {
                "help_text": "First characters of the key after `sk_`; empty if no key was used."
            },
            "request_id": {
                "help_text": "`X-Request-Id` of the response; empty if there was no request."
            },
            "operation": {"help_text": "Kind of change."},
            "object_type": {"help_text": "Type of the object."},
            "object_id": {"help_text": "ID of the object; null for a run."},
            "object_name": {"help_text": "Name of the object at the time of the change."},
        }
