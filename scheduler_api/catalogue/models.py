"""What the workers have told of themselves, and of what they can run."""

from datetime import timedelta

from django.db import models
from django.db.models import BooleanField, Case, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Now

# A worker says more often than that that it lives.
ALIVE_TIMEOUT = timedelta(seconds=60)


class TaskSpec(models.Model):
    """A task that some worker has, or had: as much of it as is known without its code."""

    name = models.CharField(max_length=200, unique=True)
    doc = models.TextField()
    # As text, since its parameters have an order, and PostgreSQL's jsonb has none.
    schema = models.TextField(help_text="JSON Schema of the arguments, as the signature has it.")
    is_recorded = models.BooleanField(
        default=True, help_text="Whether a worker tells of each start of it."
    )
    last_seen_at = models.DateTimeField(
        help_text="When a worker had it that has it no longer, or that was the first to."
    )

    objects = models.Manager["TaskSpec"]()

    def __str__(self) -> str:
        return self.name


class TaskList(models.Model):
    """What a worker has registered: one row for all workers that have the same."""

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the names.")
    specs = models.ManyToManyField(TaskSpec, related_name="lists")

    objects = models.Manager["TaskList"]()

    def __str__(self) -> str:
        return self.digest


class Worker(models.Model):
    """A Celery worker: the process that takes the messages, by its node name."""

    name = models.CharField(max_length=255, unique=True, help_text="As `celery@host`.")
    session = models.UUIDField(help_text="Of its process: one that starts has another.")
    queues = models.JSONField(help_text="The names of the queues that it takes messages from.")
    version = models.CharField(max_length=100, help_text="The version of the project's code.")
    celery_version = models.CharField(max_length=100)
    pid = models.PositiveIntegerField(help_text="Of its main process.")
    concurrency = models.PositiveIntegerField(help_text="How many tasks it runs at once.")
    task_list = models.ForeignKey(TaskList, models.PROTECT, related_name="workers")
    started_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(help_text="When it last said that it lives.")
    stopped_at = models.DateTimeField(null=True, help_text="When it said that it stops.")

    objects = models.Manager["Worker"]()

    def __str__(self) -> str:
        return self.name


def alive(prefix: str = "") -> Q:
    """Select the workers that live, by the database's clock; `prefix` leads to them."""
    return Q((f"{prefix}stopped_at", None), (f"{prefix}last_seen_at__gt", Now() - ALIVE_TIMEOUT))


IS_ALIVE = alive()


def with_is_alive(workers: QuerySet[Worker]) -> QuerySet[Worker]:
    """Add `is_alive` to workers."""
    is_alive = Case(
        When(IS_ALIVE, then=Value(True)), default=Value(False), output_field=BooleanField()
    )
    return workers.annotate(is_alive=is_alive)


def was_announced(name: str) -> Exists:
    """Whether a worker has, or had, the task whose name is in a column of the outer query."""
    return Exists(TaskSpec.objects.filter(name=OuterRef(name)))


def has_worker(name: str) -> Exists:
    """Whether a worker that lives has the task whose name is in a column of the outer query."""
    living = Worker.objects.filter(IS_ALIVE, task_list__specs__name=OuterRef(name))
    return Exists(living)
