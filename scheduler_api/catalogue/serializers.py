"""Tasks and workers in JSON."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from scheduler_api.catalogue.models import Worker
from scheduler_api.catalogue.task_lookup import KnownTask
from scheduler_api.http import fields
from scheduler_api.http.serializers import StrictModelSerializer

TASK: dict[str, Any] = {
    "name": "project.tasks.add",
    "doc": "Add two whole numbers.",
    "arguments": {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
        "required": ["x", "y"],
        "additionalProperties": False,
    },
    "worker_count": 1,
    "last_seen_at": "2027-03-28T01:00:20Z",
}
WORKER: dict[str, Any] = {
    "name": "celery@worker-1",
    "queues": ["celery"],
    "version": "0.1.0",
    "is_alive": True,
    "last_seen_at": "2027-03-28T01:00:20Z",
}
WHOLE_WORKER: dict[str, Any] = {
    **WORKER,
    "celery_version": "5.7.0",
    "pid": 4711,
    "concurrency": 2,
    "started_at": "2027-03-28T00:00:00Z",
    "stopped_at": None,
}


class WorkerOfTaskSerializer(StrictModelSerializer):
    """A worker that has a task, or had it when it was last seen."""

    queues = serializers.SerializerMethodField(help_text="The queues that it takes messages from.")
    is_alive = serializers.SerializerMethodField(
        help_text="Whether it has said so within 60 seconds, and not that it stops."
    )

    class Meta:
        model = Worker
        fields: ClassVar[tuple[str, ...]] = (
            "name",
            "queues",
            "version",
            "is_alive",
            "last_seen_at",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "name": {"help_text": "Its name in Celery: `celery@host`."},
            "version": {"help_text": "The version of its code: what `APP_VERSION` is there."},
            "last_seen_at": {"help_text": "When it last said that it lives."},
        }

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_queues(self, worker: Worker) -> list[str]:
        """Return what it takes messages from."""
        queues: list[str] = worker.queues
        return queues

    def get_is_alive(self, worker: Any) -> bool:
        """Return what the database has told by its clock."""
        return bool(worker.is_alive)


@extend_schema_serializer(examples=[OpenApiExample("A worker", WHOLE_WORKER)])
class WorkerSerializer(WorkerOfTaskSerializer):
    """A Celery worker."""

    class Meta(WorkerOfTaskSerializer.Meta):
        fields = (
            *WorkerOfTaskSerializer.Meta.fields,
            "celery_version",
            "pid",
            "concurrency",
            "started_at",
            "stopped_at",
        )
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            **WorkerOfTaskSerializer.Meta.extra_kwargs,
            "celery_version": {"help_text": "The version of Celery."},
            "pid": {"help_text": "Its main process, on its machine."},
            "concurrency": {"help_text": "How many tasks it runs at once."},
            "started_at": {"help_text": "When it took up its work."},
            "stopped_at": {"help_text": "When it said that it stops; null while it has not."},
        }


@extend_schema_serializer(examples=[OpenApiExample("Task", TASK)])
class TaskSerializer(serializers.Serializer[KnownTask]):
    """A task that can be run, and what it takes."""

    name = serializers.CharField(
        source="task.name", help_text="What a periodic task names as its `task`."
    )
    doc = serializers.CharField(source="task.doc", help_text="What its author says of it.")
    arguments = serializers.SerializerMethodField(
        help_text="JSON Schema (2020-12) of the arguments, by the names of the parameters."
    )
    worker_count = serializers.IntegerField(
        source="availability.worker_count", help_text="How many workers have it that are alive."
    )
    last_seen_at = fields.Instant(
        source="availability.last_seen_at",
        allow_null=True,
        help_text="When a worker was last seen that has it; null for none, ever.",
    )

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_arguments(self, known: KnownTask) -> dict[str, Any]:
        """Return the schema of the signature."""
        return known.task.signature.schema


@extend_schema_serializer(examples=[OpenApiExample("Task", {**TASK, "workers": [WORKER]})])
class WholeTaskSerializer(TaskSerializer):
    """A task that can be run, and the workers that run it."""

    workers = WorkerOfTaskSerializer(
        many=True, help_text="Those that have it, or had it when they were last seen, by name."
    )
