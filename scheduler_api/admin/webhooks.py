"""Webhooks and deliveries in Django admin, to read."""

from django.contrib import admin

from scheduler_api.admin.reading import ReadOnlyAdmin
from scheduler_api.webhooks.models import Delivery, Webhook


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    """Webhooks, without the salts of their secrets."""

    list_display = ("name", "owner", "url", "enabled", "disabled_at", "created_at")
    list_select_related = ("owner",)
    list_filter = ("enabled",)
    search_fields = ("name", "url", "owner__name")
    exclude = ("salt", "key_id", "previous_salt", "previous_key_id")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Deliveries, newest first."""

    list_display = ("type", "webhook", "state", "attempts", "last_status", "created_at")
    list_select_related = ("webhook",)
    list_filter = ("state",)
    search_fields = ("=event_id", "=webhook__name")
    search_help_text = "The exact ID of a message or name of a webhook."
    ordering = ("-id",)
