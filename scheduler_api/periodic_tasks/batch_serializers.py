"""A batch in JSON: operations in, and what came of each out."""

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


class Body(serializers.Field[Any, Any, Any, Any]):
    """The body of a single request, taken as it is: it is checked in its turn."""

    def __init__(self, serializer: serializers.BaseSerializer[Any], **kwargs: Any) -> None:
        super().__init__(help_text="What the single request would send.", **kwargs)
        self.serializer = serializer

    def to_internal_value(self, data: Any) -> Any:
        """Return the value as it came."""
        return data


class OperationSerializer(StrictSerializer):
    """What operations on a stored periodic task have in common."""

    id = fields.WholeNumber(
        min_value=1, max_value=10**18 - 1, help_text="The id of the periodic task."
    )
    if_match = fields.Text(
        required=False, help_text="Do it only if the ETag of the periodic task is this one."
    )


class CreateSerializer(StrictSerializer):
    """Create a periodic task."""

    op = fields.Choice(choices=["create"], help_text="What to do.")
    body = Body(PeriodicTaskSerializer())


class UpdateSerializer(OperationSerializer):
    """Change the fields of a periodic task that are sent."""

    op = fields.Choice(choices=["update"], help_text="What to do.")
    body = Body(PeriodicTaskSerializer(partial=True))


class DeleteSerializer(OperationSerializer):
    """Delete a periodic task; this asks for the scope `periodic-tasks:delete`."""

    op = fields.Choice(choices=["delete"], help_text="What to do.")


class BatchPauseSerializer(OperationSerializer):
    """Pause a periodic task."""

    op = fields.Choice(choices=["pause"], help_text="What to do.")
    body = Body(PauseSerializer(), default=dict)


class ResumeSerializer(OperationSerializer):
    """Resume a periodic task."""

    op = fields.Choice(choices=["resume"], help_text="What to do.")


OPERATIONS: Mapping[str, type[StrictSerializer]] = {
    "create": CreateSerializer,
    "update": UpdateSerializer,
    "delete": DeleteSerializer,
    "pause": BatchPauseSerializer,
    "resume": ResumeSerializer,
}


class OperationField(serializers.Field[Any, Any, Any, Any]):
    """One operation, told from others by `op`."""

    default_error_messages = {
        "invalid": 'Must be an object such as {{"op": "resume", "id": 7}}.',
        "unknown_op": "Must be one of {ops}.",
    }

    def to_internal_value(self, data: Any) -> Any:
        """Check the members, and leave the body for later."""
        if not isinstance(data, Mapping):
            self.fail("invalid")
        if not isinstance(data.get("op"), str) or data["op"] not in OPERATIONS:
            message = self.error_messages["unknown_op"].format(ops=", ".join(OPERATIONS))
            raise ValidationError({"op": [ErrorDetail(message, "unknown_op")]})
        serializer = OPERATIONS[data["op"]](data=data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data


class BatchQuery(StrictSerializer):
    """What happens to the others where one operation fails."""

    atomic = fields.FlagText(
        default=True, help_text="`false` to carry out the operations that do not fail."
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
    """Operations on periodic tasks, to be carried out in their order."""

    operations = serializers.ListField(
        child=OperationField(),
        allow_empty=False,
        max_length=MAX_OPERATIONS,
        help_text="What to do, told apart by `op`.",
    )


class ResultBody(serializers.Field[Any, Any, Any, Any]):
    """What a single request would be answered with."""


class BatchResultSerializer(serializers.Serializer[Any]):
    """What came of one operation: what its own request would be answered with."""

    status = serializers.IntegerField(help_text="The HTTP status.")
    etag = serializers.CharField(
        allow_null=True, help_text="The ETag of the periodic task; null where there is none."
    )
    body = ResultBody(help_text="The periodic task, the problem, or null of one that is deleted.")


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
class BatchAnswerSerializer(serializers.Serializer[Any]):
    """What came of each operation, in their order."""

    results = BatchResultSerializer(many=True, help_text="One for each operation.")


class OperationSchema(OpenApiSerializerFieldExtension):
    """Describes an operation as `oneOf` with a discriminator."""

    target_class = OperationField

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return a reference to the five kinds, each a component by itself."""
        return one_of(
            auto_schema,
            OPERATIONS,
            told_by="op",
            name="Operation",
            description="One of five operations, told apart by `op`.",
            direction=direction,
        )


class EmbeddedBodySchema(OpenApiSerializerFieldExtension):
    """Describes a Body as that of the single request, also where it is answered."""

    target_class = Body

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return a reference to it."""
        reference: dict[str, Any] = auto_schema.resolve_serializer(
            self.target.serializer, "request"
        ).ref
        return reference


class ResultBodySchema(OpenApiSerializerFieldExtension):
    """Describes the answers that an operation can have."""

    target_class = ResultBody
    ANSWERS: ClassVar = ("PeriodicTask", "WouldBePeriodicTask", "Problem")

    def map_serializer_field(
        self, auto_schema: AutoSchema, direction: Direction
    ) -> dict[str, Any]:
        """Return the choice."""
        references = [{"$ref": f"#/components/schemas/{name}"} for name in self.ANSWERS]
        return {"anyOf": [*references, {"type": "null"}]}
