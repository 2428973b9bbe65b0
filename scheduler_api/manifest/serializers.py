"""A manifest in JSON or YAML, and what came of it."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.http import fields
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.manifest.document import VERSION
from scheduler_api.periodic_tasks.batch_serializers import OperationBody
from scheduler_api.periodic_tasks.examples import EXAMPLE
from scheduler_api.periodic_tasks.serializers import PeriodicTaskSerializer

MAX_ENTRIES = 10_000
MEDIA_TYPES = ("application/json", "application/yaml")


def examples(
    name: str, value: dict[str, Any], *, response_only: bool = False
) -> list[OpenApiExample]:
    """Show a document in each of the media types."""
    return [
        OpenApiExample(name, value, media_type=media_type, response_only=response_only)
        for media_type in MEDIA_TYPES
    ]


class ManifestQuery(StrictSerializer):
    """What is to be done."""

    mode = fields.Choice(
        choices=["plan", "apply"],
        default="plan",
        help_text="`plan` to be told what `apply` would do.",
    )
    prune = fields.FlagText(
        default=False,
        help_text="`true` to delete what a manifest has made and this one no longer names.",
    )


@extend_schema_serializer(
    examples=examples("One task", {"version": VERSION, "periodic_tasks": [EXAMPLE]})
)
class ManifestSerializer(StrictSerializer):
    """All periodic tasks of an account, without ids."""

    version = fields.WholeNumber(
        min_value=VERSION, max_value=VERSION, help_text="Of this format: 1."
    )
    periodic_tasks = serializers.ListField(
        child=OperationBody(PeriodicTaskSerializer()),
        max_length=MAX_ENTRIES,
        help_text="Each as a request would make it; what is left out has its default.",
    )


class ManifestChangeSerializer(serializers.Serializer[Any]):
    """A periodic task that differs from what is stored."""

    name = serializers.CharField(help_text="Its name.")
    before = serializers.DictField(help_text="The fields that differ, as they were.")
    after = serializers.DictField(help_text="The fields that differ, as they are to be.")


@extend_schema_serializer(
    examples=examples(
        "One task",
        {
            "mode": "plan",
            "created": ["Import contacts"],
            "changed": [],
            "deleted": [],
            "unchanged": 0,
        },
        response_only=True,
    )
)
class ManifestAnswerSerializer(serializers.Serializer[Any]):
    """What the manifest changes, or would."""

    mode = serializers.ChoiceField(
        choices=["plan", "apply"], help_text="Whether it is planned, or done."
    )
    created = serializers.ListField(
        child=serializers.CharField(), help_text="The names of those that are new."
    )
    changed = ManifestChangeSerializer(many=True, help_text="Those that differ.")
    deleted = serializers.ListField(
        child=serializers.CharField(), help_text="The names of those that go."
    )
    unchanged = serializers.IntegerField(help_text="How many are as the manifest says.")
