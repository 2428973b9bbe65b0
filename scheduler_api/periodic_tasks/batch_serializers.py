"""A batch in JSON: its operations, and their results."""

from collections.abc import Mapping
from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiExample, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from scheduler_api.http import fields
from scheduler_api.http.serializers import StrictSerializer
from scheduler_api.openapi.bodies import one_of
from scheduler_api.periodic_tasks.examples import ANSWER, EXAMPLE
from scheduler_api.periodic_tasks.serializers import (
    PauseSerializer,
    PeriodicTaskSerializer,
)

MAX_OPERATIONS = 500


class OperationBody(serializers.Field[Any, Any, Any, Any]):
    """The body of a single request, not validated yet: the operation validates it."""

    def __init__(self, serializer: serializers.BaseSerializer[Any], **kwargs: Any) -> None:
        super().__init__(help_text="Body, as in a request of its own.", **kwargs)
        self.serializer = serializer

    def to_internal_value(self, data: Any) -> Any:
        """Return the value unchanged."""
        return data


class OperationSerializer(StrictSerializer):
    """Fields of every operation on a stored periodic task."""

    id = fields.WholeNumber(
        min_value=1, max_value=10**18 - 1, help_text="ID of the periodic task."
    )
    if_match = fields.Text(
        required=False, help_text="Execute the operation only if the periodic task has this ETag."
    )


class CreateSerializer(StrictSerializer):
    """Create a periodic task."""

    op = fields.Choice(choices=["create"], help_text="Kind of operation.")
    body = OperationBody(PeriodicTaskSerializer())


class UpdateSerializer(OperationSerializer):
    """Change the given fields of a periodic task."""

    op = fields.Choice(choices=["update"], help_text="Kind of operation.")
    body = OperationBody(PeriodicTaskSerializer(partial=True))


class DeleteSerializer(OperationSerializer):
    """Delete a periodic task; requires the scope `periodic-tasks:delete`."""

    op = fields.Choice(choices=["delete"], help_text="Kind of operation.")


class BatchPauseSerializer(OperationSerializer):
    """Pause a periodic task."""

    op = fields.Choice(choices=["pause"], help_text="Kind of operation.")
    body = OperationBody(PauseSerializer(), default=dict)


class ResumeSerializer(OperationSerializer):
    """Resume a periodic task."""

    op = fields.Choice(choices=["resume"], help_text="Kind of operation.")


OPERATIONS: Mapping[str, type[StrictSerializer]] = {
    "create": CreateSerializer,
    "update": UpdateSerializer,
    "delete": DeleteSerializer,
    "pause": BatchPauseSerializer,
    "resume": ResumeSerializer,
}


class OperationField(serializers.Field[Any, Any, Any, Any]):
    """One operation, with its type in `op`."""

    default_error_messages = {
        "invalid": 'Must be an object such as {{"op": "resume", "id": 7}}.',
        "unknown_op": "Must be one of {ops}.",
    }

    def to_internal_value(self, data: Any) -> Any:
        """Validate the members, except the body."""
        if not isinstance(data, Mapping):
            self.fail("invalid")
        if not isinstance(data.get("op"), str) or data["op"] not in OPERATIONS:
            message = self.error_messages["unknown_op"].format(ops=", ".join(OPERATIONS))
            raise ValidationError({"op": [ErrorDetail(message, "unknown_op")]})
        serializer = OPERATIONS[data["op"]](data=data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data


class BatchQuery(StrictSerializer):
    """Query parameters of a batch."""

    atomic = fields.FlagText(
        default=True,
        help_text="If `false`, the operations that succeed are kept when others fail.",
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Two operations",
            {
                "operations": [
                    {"op": "create", "body": EXAMPLE},
                    {"op": "create", "body": {**EXAMPLE, "name": "Import leads"}},
                ]
            },
            request_only=True,
        )
    ]
)
class BatchSerializer(StrictSerializer):
    """Operations on periodic tasks, executed in order."""

    operations = fields.BoundedList(
        child=OperationField(),
        allow_empty=False,
        max_length=MAX_OPERATIONS,
        help_text="The operations, each with its type in `op`.",
    )


class ResultBody(serializers.Field[Any, Any, Any, Any]):
    """The response body of a single request."""


class BatchResultSerializer(serializers.Serializer[Any]):
    """The result of one operation: the response that a request of its own would get."""

    status = serializers.IntegerField(help_text="HTTP status code.")
    etag = serializers.CharField(
        allow_null=True, help_text="ETag of the periodic task; null without one."
    )
    body = ResultBody(help_text="The periodic task or the problem; null after a deletion.")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Two operations",
            {
                "results": [
                    {"status": 201, "etag": '"8c6744c9d42ec2cb9e8885b54ff744d0"', "body": body}
                    for body in (ANSWER, {**ANSWER, "id": 2, "name": "Import leads"})
                ]
            },
            response_only=True,
        )
    ]
)
class BatchResponseSerializer(serializers.Serializer[Any]):
    """The results of a batch, in the order of its operations."""

    results = BatchResultSerializer(many=True, help_text="One result per operation.")


class OperationSchema(OpenApiSerializerFieldExtension):
    """OpenAPI schema of an operation: `oneOf` with a discriminator."""

    target_class = OperationField

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return a reference to the five operations, each a component."""
        return one_of(
            auto_schema,
            OPERATIONS,
            discriminator="op",
            name="Operation",
            description="One of five operations, distinguished by `op`.",
            direction=direction,
        )


class EmbeddedBodySchema(OpenApiSerializerFieldExtension):
    """OpenAPI schema of an operation's body: that of the single request, in both directions."""

    target_class = OperationBody

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return a reference to the schema of the single request."""
        reference: dict[str, Any] = auto_schema.resolve_serializer(
            self.target.serializer, "request"
        ).ref
        return reference


class ResultBodySchema(OpenApiSerializerFieldExtension):
    """OpenAPI schema of the response body of an operation."""

    target_class = ResultBody
    ANSWERS: ClassVar = ("PeriodicTask", "PeriodicTaskDraft", "Problem")

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return the possible bodies as `anyOf`."""
        references = [{"$ref": f"#/components/schemas/{name}"} for name in self.ANSWERS]
        return {"anyOf": [*references, {"type": "null"}]}
