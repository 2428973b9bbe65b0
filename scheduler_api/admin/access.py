"""Service accounts, API keys and the audit log in Django admin, to read."""

from django.contrib import admin

from scheduler_api.access.audit import ObjectType, Operation
from scheduler_api.access.models import ApiKey, AuditEntry, ServiceAccount
from scheduler_api.admin.reading import ReadOnlyAdmin, choice_filter


@admin.register(ServiceAccount)
class ServiceAccountAdmin(ReadOnlyAdmin):
    """Accounts of the services that call the API."""

    list_display = ("name", "scopes", "task_patterns", "queues", "created_at")
    search_fields = ("name",)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys, without their digests. Nothing stores their texts."""

    list_display = ("__str__", "service_account", "created_at", "last_used_at", "expires_at")
    list_select_related = ("service_account",)
    list_filter = ("service_account",)
    search_fields = ("prefix", "service_account__name")
    exclude = ("digest",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log, newest first."""

    list_display = ("at", "account_name", "operation", "object_type", "object_name", "request_id")
    list_filter = (
        choice_filter("operation", Operation.choices),
        choice_filter("object_type", ObjectType.choices),
    )
    search_fields = ("=account_name", "=object_name", "=request_id")
    search_help_text = "The exact name of an account or an object, or a request ID."
    ordering = ("-id",)
