"""Serializers of a manifest, of its query and of the changes that it makes."""

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.http import fields
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.manifest.document import VERSION
from scheduler_api.periodic_tasks.batch_serializers import OperationBody
from scheduler_api.periodic_tasks.examples import EXAMPLE
from scheduler_api.periodic_tasks.serializers import PeriodicTaskSerializer, WarningSerializer

MAX_ENTRIES: int = settings.MAX_MANIFEST_ENTRIES
MEDIA_TYPES = ("application/json", "application/yaml")


def examples(
    name: str, value: dict[str, Any], *, response_only: bool = False
) -> list[OpenApiExample]:
    """Return an example of a document in each media type."""
    return [
        OpenApiExample(name, value, media_type=media_type, response_only=response_only)
        for media_type in MEDIA_TYPES
    ]


class ManifestQuery(StrictSerializer):
    """Query parameters of a manifest."""

    mode = fields.Choice(
        choices=["plan", "apply"],
        default="plan",
        help_text=(
            "`apply` makes the changes; `plan` returns the same response, but changes nothing."
        ),
    )
    prune = fields.FlagText(
        default=False,
        help_text=(
            "If `true`, deletes the periodic tasks that are managed by a manifest and missing "
            "from this one."
        ),
    )


@extend_schema_serializer(
    examples=examples("One task", {"version": VERSION, "periodic_tasks": [EXAMPLE]})
)
class ManifestSerializer(StrictSerializer):
    """All periodic tasks of an account, without IDs."""

    version = fields.WholeNumber(
        min_value=VERSION, max_value=VERSION, help_text="Version of the manifest format: 1."
    )
    periodic_tasks = fields.BoundedList(
        child=OperationBody(PeriodicTaskSerializer()),
        max_length=MAX_ENTRIES,
        help_text="The periodic tasks, each as in a request to create it.",
    )


class ManifestChangeSerializer(serializers.Serializer[Any]):
    """A periodic task with stored fields that differ from the manifest."""

    name = serializers.CharField(help_text="Name of the periodic task.")
    before = serializers.DictField(help_text="The fields that differ, with their stored values.")
    after = serializers.DictField(
        help_text="The fields that differ, with their values from the manifest."
    )


class ManifestWarningSerializer(WarningSerializer):
    """A possible problem with a periodic task of the manifest."""

    name = serializers.CharField(help_text="Name of the periodic task.")


@extend_schema_serializer(
    examples=examples(
        "One task",
        {
            "mode": "plan",
            "created": ["Import customers"],
            "changed": [],
            "deleted": [],
            "unchanged": 0,
            "warnings": [],
        },
        response_only=True,
    )
)
class ManifestResponseSerializer(serializers.Serializer[Any]):
    """The changes of an applied or planned manifest."""

    mode = serializers.ChoiceField(
        choices=["plan", "apply"],
        help_text="`apply` if the changes were made, `plan` if not.",
    )
    created = serializers.ListField(
        child=serializers.CharField(), help_text="Names of the periodic tasks to create."
    )
    changed = ManifestChangeSerializer(many=True, help_text="The periodic tasks to change.")
    deleted = serializers.ListField(
        child=serializers.CharField(), help_text="Names of the periodic tasks to delete."
    )
    unchanged = serializers.IntegerField(
        help_text="Number of periodic tasks that already match the manifest."
    )
    warnings = ManifestWarningSerializer(
        many=True,
        help_text="Periodic tasks that the next start of beat overwrites, because "
        "`CELERY_BEAT_SCHEDULE` has entries of their names.",
    )
