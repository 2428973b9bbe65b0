"""Many operations in one request and one transaction, each as its own request would do it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.db.models import QuerySet
from django_celery_beat.models import PeriodicTask
from rest_framework import status
from rest_framework.exceptions import ValidationError

from scheduler_api.access.audit import Caller
from scheduler_api.access.permissions import refuse_without
from scheduler_api.access.scopes import Scope
from scheduler_api.http.etags import RevisionMismatch
from scheduler_api.http.problems import (
    Mistake,
    NotFound,
    Problem,
    ValidationFailed,
    join,
    mistakes_in,
    sentence,
)
from scheduler_api.periodic_tasks import actions
from scheduler_api.periodic_tasks.actions import Draft
from scheduler_api.periodic_tasks.serializers import PauseSerializer, PeriodicTaskSerializer

Operation = Mapping[str, Any]


@dataclass(kw_only=True)
class Outcome:
    """What came of the operation at a place in the body."""

    place: str
    status: int = status.HTTP_200_OK
    task: PeriodicTask | None = None
    problem: Problem | None = None


@dataclass(kw_only=True)
class Batch:
    """Carries out operations in their order, within a transaction of its caller.

    `tasks` are those that the caller may see, `tag_of` is the entity tag of one. What an operation
    does is undone where it fails; the others go on.
    """

    tasks: QuerySet[PeriodicTask]
    serializer: PeriodicTaskSerializer
    tag_of: Callable[[PeriodicTask], str]
    by: Caller
    locked: dict[int, PeriodicTask] = field(default_factory=dict)
    new: list[tuple[Draft, Outcome]] = field(default_factory=list)

    def carry_out(self, operations: Sequence[Operation]) -> list[Outcome]:
        """Return what came of each operation."""
        self.lock({operation["id"] for operation in operations if "id" in operation})
        outcomes = []
        for index, operation in enumerate(operations):
            if operation["op"] != "create":
                self.store_new()
            outcome = Outcome(place=join("/operations", index))
            try:
                getattr(self, operation["op"])(operation, outcome)
            except Problem as problem:
                outcome.problem = problem
            except ValidationError as error:
                outcome.problem = ValidationFailed(errors=list(mistakes_in(error.detail)))
            outcomes.append(outcome)
        self.store_new()
        for outcome in outcomes:
            if outcome.problem:
                outcome.problem.errors = located(outcome.problem, outcome.place)
        return outcomes

    def lock(self, ids: set[int]) -> None:
        """Lock the tasks that are to be changed; in one order, so that no two batches wait."""
        rows = self.tasks.filter(pk__in=ids).select_for_update(of=("self",)).order_by("pk")
        self.locked = {task.pk: task for task in rows}

    # --- The operations, by their names -------------------------------------------------------

    def create(self, operation: Operation, outcome: Outcome) -> None:
        """Check a new task; those that follow each other are stored together."""
        outcome.status = status.HTTP_201_CREATED
        self.new.append((self.serializer.check(operation["body"]), outcome))

    def update(self, operation: Operation, outcome: Outcome) -> None:
        """Change the fields that are sent."""
        task = self.task_of(operation)
        draft = self.serializer.check(operation["body"], task=task, partial=True)
        actions.change(task, draft, by=self.by)
        outcome.task = self.locked[task.pk] = draft.task

    def delete(self, operation: Operation, outcome: Outcome) -> None:
        """Delete a task, which asks for a scope of its own."""
        refuse_without(Scope.PERIODIC_TASKS_DELETE, self.by.account)
        task = self.task_of(operation)
        del self.locked[task.pk]
        actions.delete(task, by=self.by)
        outcome.status = status.HTTP_204_NO_CONTENT

    def pause(self, operation: Operation, outcome: Outcome) -> None:
        """Pause a task."""
        outcome.task = self.task_of(operation)
        pause = PauseSerializer(data=operation["body"])
        pause.is_valid(raise_exception=True)
        actions.pause(outcome.task, **pause.validated_data, by=self.by)

    def resume(self, operation: Operation, outcome: Outcome) -> None:
        """Resume a task."""
        outcome.task = self.task_of(operation)
        actions.resume(outcome.task, by=self.by)

    # ------------------------------------------------------------------------------------------

    def task_of(self, operation: Operation) -> PeriodicTask:
        """Return the task that an operation is about; raise unless it is as the caller saw it."""
        task = self.locked.get(operation["id"])
        if task is None:
            raise NotFound("There is no such periodic task.")
        if "if_match" in operation and operation["if_match"] not in {"*", self.tag_of(task)}:
            raise RevisionMismatch("Read it again, and send the ETag of that answer as if_match.")
        return task

    def store_new(self) -> None:
        """Store the new tasks that were checked: together, or where that fails, one by one."""
        waiting, self.new = self.new, []
        taken = actions.taken_names(draft.task.name for draft, _ in waiting) if waiting else set()
        fresh = []
        for draft, outcome in waiting:
            if draft.task.name in taken:
                outcome.problem = actions.name_taken(draft.task.name)
                continue
            taken.add(draft.task.name)
            outcome.task = draft.task
            fresh.append((draft, outcome))
        try:
            actions.create_all([draft for draft, _ in fresh], by=self.by)
        except Problem:
            for draft, outcome in fresh:
                draft.task.pk = None
                try:
                    actions.create(draft, by=self.by)
                except Problem as problem:
                    outcome.problem = problem


def located(problem: Problem, place: str) -> list[Mistake]:
    """Return what is wrong with the operation at a place in the body."""
    if not problem.errors:
        return [Mistake(pointer=place, code=problem.code, detail=problem.detail)]
    return [
        replace(mistake, pointer=f"{place}/body{mistake.pointer}") for mistake in problem.errors
    ]


def refuse_failed(outcomes: Sequence[Outcome]) -> None:
    """Raise the first problem, which undoes all, with the mistakes of all operations."""
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    if problems:
        problems[0].errors = [mistake for problem in problems for mistake in problem.errors]
        problems[0].detail = sentence(problems[0].errors)
        raise problems[0]
