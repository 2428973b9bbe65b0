"""Tasks in JSON."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.catalogue.registry import RegisteredTask


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Task",
            {
                "name": "project.tasks.add",
                "doc": "Add two whole numbers.",
                "arguments": {
                    "type": "object",
                    "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
                    "required": ["x", "y"],
                    "additionalProperties": False,
                },
            },
        )
    ]
)
class TaskSerializer(serializers.Serializer[RegisteredTask]):
    """A task that can be run, and what it takes."""

    name = serializers.CharField(help_text="What a periodic task names as its `task`.")
    doc = serializers.CharField(help_text="What its author says of it.")
    arguments = serializers.SerializerMethodField(
        help_text="JSON Schema (2020-12) of the arguments, by the names of the parameters."
    )

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_arguments(self, task: RegisteredTask) -> dict[str, Any]:
        """Return the schema of the signature."""
        return task.signature.schema
