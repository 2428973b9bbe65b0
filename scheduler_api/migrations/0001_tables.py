"""Create all tables. This squashes nine migrations from before the first release.

A database with those migrations counts as having this one. Until the first release, a changed
`help_text` is changed here as well, and needs no migration of its own.
"""

import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True
    replaces = [
        ('scheduler_api', '0001_accounts_and_managed_tasks'),
        ('scheduler_api', '0002_idempotency_revisions_audit'),
        ('scheduler_api', '0003_pauses'),
        ('scheduler_api', '0004_rate_limits_and_quotas'),
        ('scheduler_api', '0005_beat_engine'),
        ('scheduler_api', '0008_run_outcomes'),
        ('scheduler_api', '0009_attempts_and_events'),
        ('scheduler_api', '0010_webhooks'),
        ('scheduler_api', '0011_workers_and_repeats'),
    ]
    dependencies = [
        ('django_celery_beat', '0019_alter_periodictasks_options'),
    ]

    operations = [
        migrations.CreateModel(
            name='BeatHeartbeat',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ('host', models.CharField(max_length=255)),
                ('pid', models.PositiveIntegerField()),
                ('started_at', models.DateTimeField()),
                ('ticked_at', models.DateTimeField(help_text='When it last read the agenda.')),
                ('lag_seconds', models.FloatField(default=0, help_text='Delay between due time and claim in the last batch.')),
                ('trouble', models.TextField(default='', help_text='Why it cannot publish messages; empty when it can.')),
            ],
        ),
        migrations.CreateModel(
            name='FailureStreak',
            fields=[
                ('periodic_task_id', models.IntegerField(primary_key=True, serialize=False)),
                ('failures', models.PositiveIntegerField(help_text='Failures in a row since the last success or the last pause because of them.')),
                ('since_at', models.DateTimeField(help_text='When the first of these runs ended.')),
            ],
        ),
        migrations.CreateModel(
            name='Outbox',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('run_ids', models.JSONField(help_text='The ids of the runs, in the order of their claim.')),
                ('created_at', models.DateTimeField()),
                ('retry_at', models.DateTimeField(db_index=True, help_text='When to publish again what is left.')),
            ],
        ),
        migrations.CreateModel(
            name='RateLimitWindow',
            fields=[
                ('subject', models.CharField(max_length=100, primary_key=True, serialize=False)),
                ('minute', models.BigIntegerField(db_index=True)),
                ('taken', models.BigIntegerField()),
                ('leased', models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name='Repeat',
            fields=[
                ('run_id', models.UUIDField(primary_key=True, serialize=False)),
                ('queue', models.CharField(help_text='The queue of the message.', max_length=255)),
                ('count', models.PositiveIntegerField(help_text='Number of times the message was republished.')),
                ('again_at', models.DateTimeField(help_text='The message is not republished again before this time.')),
            ],
        ),
        migrations.CreateModel(
            name='RunEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('run.failed', 'Failed'), ('run.recovered', 'Recovered'), ('run.missed', 'Missed'), ('run.lost', 'Lost'), ('periodic_task.paused', 'Paused')], max_length=32)),
                ('run_id', models.UUIDField(help_text='The run that the event is about.')),
                ('periodic_task_id', models.IntegerField()),
                ('owner_id', models.BigIntegerField(help_text='The account that owns the run; null if unowned.', null=True)),
                ('at', models.DateTimeField(help_text='When it happened.')),
            ],
        ),
        migrations.CreateModel(
            name='ServiceAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='Account name, unique among all accounts.', max_length=100, unique=True)),
                ('scopes', models.JSONField(default=list, help_text='Scopes of the account.')),
                ('task_patterns', models.JSONField(blank=True, default=list, help_text='Patterns of the tasks it may use, such as `billing.*`; empty for all tasks.')),
                ('queues', models.JSONField(blank=True, default=list, help_text='Queues it may use; empty for all queues.')),
                ('sees_unowned', models.BooleanField(default=False, help_text='Whether it may read and change periodic tasks without an owner.')),
                ('requests_per_minute', models.PositiveIntegerField(blank=True, help_text="Maximum requests per minute; null for the service's default.", null=True)),
                ('max_periodic_tasks', models.PositiveIntegerField(blank=True, help_text='Maximum number of periodic tasks it may own; null for no limit.', null=True)),
                ('min_interval_seconds', models.PositiveIntegerField(blank=True, help_text='Minimum seconds between slots of its periodic tasks; null for no limit.', null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ('id',),
            },
        ),
        migrations.CreateModel(
            name='TaskSpec',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200, unique=True)),
                ('doc', models.TextField()),
                ('schema', models.TextField(help_text='JSON Schema of the arguments.')),
                ('is_recorded', models.BooleanField(default=True, help_text='Whether a worker records each start of the task.')),
                ('last_seen_at', models.DateTimeField(help_text='When the task was first announced, or when a worker that no longer has it was last seen with it.')),
            ],
        ),
        migrations.CreateModel(
            name='Agenda',
            fields=[
                ('periodic_task', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='agenda', serialize=False, to='django_celery_beat.periodictask')),
                ('slot_at', models.DateTimeField(help_text='The next slot; null if there is none.', null=True)),
                ('due_at', models.DateTimeField(help_text='When beat claims it: the slot plus jitter, or the next try after a failure.', null=True)),
                ('anchor_at', models.DateTimeField(help_text='Slots of an interval are this moment plus k times its length.', null=True)),
                ('since_at', models.DateTimeField(help_text='Only slots after this moment count: before it, the schedule was different or the task was paused.', null=True)),
                ('served_at', models.DateTimeField(help_text='The latest slot that was sent, missed or skipped.', null=True)),
                ('timing', models.CharField(default='', help_text='A digest of everything that determines the slots.', max_length=64)),
                ('stale', models.BooleanField(default=True, help_text='Whether the definition has changed since the last plan.')),
                ('stale_at', models.DateTimeField(help_text='When the definition last changed.', null=True)),
                ('failures', models.PositiveIntegerField(default=0, help_text='Number of consecutive failures to plan or send the task.')),
                ('last_error', models.TextField(default='', help_text='Reason of the latest failure, for people; empty after a success.')),
                ('missed_count', models.PositiveBigIntegerField(default=0, help_text='Number of missed slots of this task.')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('due_at__isnull', False)), fields=['due_at', 'periodic_task'], name='agenda_due'), models.Index(condition=models.Q(('stale', True)), fields=['stale_at', 'periodic_task'], name='agenda_stale')],
            },
        ),
        migrations.CreateModel(
            name='Run',
            fields=[
                ('id', models.UUIDField(help_text='ID of the run and of its Celery task.', primary_key=True, serialize=False)),
                ('periodic_task_id', models.IntegerField(help_text='Kept when the periodic task is deleted.')),
                ('periodic_task_name', models.CharField(max_length=200)),
                ('owner_id', models.BigIntegerField(help_text='The owning account; null if unowned.', null=True)),
                ('task', models.CharField(max_length=200)),
                ('trigger', models.CharField(choices=[('schedule', 'Schedule'), ('manual', 'Manual'), ('backfill', 'Backfill'), ('retry', 'Retry')], default='schedule', max_length=16)),
                ('slot_at', models.DateTimeField(help_text='The slot, or the first of a stretch.', null=True)),
                ('due_at', models.DateTimeField(help_text='The slot plus its jitter.')),
                ('slot_count', models.PositiveIntegerField(default=1, help_text='Number of slots that the row stands for.')),
                ('last_slot_at', models.DateTimeField(help_text='The last slot of a stretch.', null=True)),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('queued', 'Queued'), ('running', 'Running'), ('succeeded', 'Succeeded'), ('failed', 'Failed'), ('cancelled', 'Cancelled'), ('lost', 'Lost'), ('missed', 'Missed'), ('skipped', 'Skipped'), ('unroutable', 'Unroutable'), ('expired', 'Expired')], default='pending', max_length=16)),
                ('ended_as', models.GeneratedField(db_persist=True, expression=models.Case(models.When(state__in=('pending', 'queued', 'running'), then=None), default=models.F('state')), help_text='The final state; null until then.', output_field=models.CharField(max_length=16, null=True))),
                ('reason', models.TextField(default='', help_text='The reason for the state, as a sentence.')),
                ('is_held', models.BooleanField(default=False, help_text='Whether it waits for an earlier run to end, or for its turn in a backfill.')),
                ('created_at', models.DateTimeField()),
                ('queued_at', models.DateTimeField(help_text='When the broker confirmed the message.', null=True)),
                ('started_at', models.DateTimeField(help_text='When a worker last started it.', null=True)),
                ('finished_at', models.DateTimeField(help_text='When it ended.', null=True)),
                ('lease_until', models.DateTimeField(help_text='The run is lost if no worker renews this in time; null if none runs it.', null=True)),
                ('worker', models.CharField(db_default='', help_text='The Celery worker that last started it.', max_length=255)),
                ('attempts', models.PositiveIntegerField(db_default=0, help_text='Number of starts: one, plus one for each retry.')),
                ('is_to_end', models.BooleanField(db_default=False, help_text='Whether a caller cancelled it while it ran.')),
                ('result', models.TextField(db_default='', help_text='Return value of the task as JSON; empty until then.')),
                ('is_result_truncated', models.BooleanField(db_default=False, help_text='Whether the result is the text of its beginning.')),
                ('error_type', models.CharField(db_default='', help_text='The class of the exception.', max_length=200)),
                ('error_message', models.TextField(db_default='')),
                ('traceback', models.TextField(db_default='')),
                ('args', models.TextField(default='[]')),
                ('kwargs', models.TextField(default='{}')),
                ('options', models.TextField(default='{}', help_text="Arguments of Celery's apply_async, such as queue and headers, as JSON.")),
            ],
            options={
                'indexes': [models.Index(fields=['-created_at', '-id'], name='runs_by_time'), models.Index(fields=['periodic_task_id', '-created_at', '-id'], name='runs_of_a_task'), models.Index(fields=['owner_id', '-created_at', '-id'], name='runs_of_an_owner'), models.Index(condition=models.Q(('is_held', True)), fields=['periodic_task_id'], name='runs_that_are_held'), models.Index(condition=models.Q(('lease_until__isnull', False)), fields=['lease_until'], name='runs_with_a_lease'), models.Index(fields=['ended_as', '-created_at', '-id'], name='runs_that_ended_so')],
            },
        ),
        migrations.CreateModel(
            name='ScheduleRevision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=16)),
                ('schedule_id', models.BigIntegerField()),
                ('revision', models.PositiveBigIntegerField(default=1)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('kind', 'schedule_id'), name='one_revision_per_schedule')],
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('prefix', models.CharField(help_text='First characters of the key after `sk_`; its name in logs and the audit log.', max_length=8, unique=True)),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField(blank=True, help_text='Time of expiry; null if the key never expires.', null=True)),
                ('last_used_at', models.DateTimeField(blank=True, help_text='Time of last use, to the minute; null if never used.', null=True)),
                ('revoked_at', models.DateTimeField(blank=True, help_text='Time of revocation; null if not revoked.', null=True)),
                ('service_account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_keys', to='scheduler_api.serviceaccount')),
            ],
            options={
                'verbose_name': 'API key',
                'ordering': ('id',),
            },
        ),
        migrations.CreateModel(
            name='TaskList',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(help_text='SHA-256 of the names of the tasks.', max_length=64, unique=True)),
                ('specs', models.ManyToManyField(related_name='lists', to='scheduler_api.taskspec')),
            ],
        ),
        migrations.CreateModel(
            name='Webhook',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='Purpose of the webhook, for people.', max_length=200)),
                ('url', models.CharField(help_text='URL that receives the messages.', max_length=2000)),
                ('events', models.JSONField(default=list, help_text='Event types to receive; empty for all.')),
                ('label', models.CharField(blank=True, default='', help_text='Label selector of periodic tasks; empty for all.', max_length=1000)),
                ('enabled', models.BooleanField(default=True, help_text='Whether messages are sent.')),
                ('disabled_at', models.DateTimeField(help_text='Time when failures disabled the webhook; null otherwise.', null=True)),
                ('disabled_reason', models.TextField(default='', help_text='Reason for `disabled_at`, for people.')),
                ('salt', models.CharField(max_length=64)),
                ('key_id', models.CharField(help_text='Identifies the SECRET_KEY of the secret.', max_length=16)),
                ('previous_salt', models.CharField(default='', max_length=64)),
                ('previous_key_id', models.CharField(default='', max_length=16)),
                ('previous_until', models.DateTimeField(help_text='Time until which the previous secret also signs.', null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('owner', models.ForeignKey(help_text='Owning account: its run events are sent.', on_delete=django.db.models.deletion.CASCADE, related_name='webhooks', to='scheduler_api.serviceaccount')),
            ],
            options={
                'ordering': ('id',),
            },
        ),
        migrations.CreateModel(
            name='Worker',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(help_text='Celery node name, such as `celery@host`.', max_length=255, unique=True)),
                ('session', models.UUIDField(help_text='Identifies the process: each start makes a new one.')),
                ('queues', models.JSONField(help_text='Names of the queues that the worker consumes.')),
                ('version', models.CharField(help_text="Version of the project's code.", max_length=100)),
                ('celery_version', models.CharField(max_length=100)),
                ('pid', models.PositiveIntegerField(help_text='Process id of the main process.')),
                ('concurrency', models.PositiveIntegerField(help_text='Number of tasks that the worker runs at once.')),
                ('started_at', models.DateTimeField()),
                ('last_seen_at', models.DateTimeField(help_text='Time of the last heartbeat.')),
                ('stopped_at', models.DateTimeField(help_text='When the worker announced that it was stopping.', null=True)),
                ('task_list', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='workers', to='scheduler_api.tasklist')),
            ],
        ),
        migrations.CreateModel(
            name='ManagedTask',
            fields=[
                ('periodic_task', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='managed', serialize=False, to='django_celery_beat.periodictask')),
                ('managed_by', models.CharField(choices=[('api', 'Api'), ('manifest', 'Manifest'), ('settings', 'Settings'), ('admin', 'Admin')], default='api', help_text='Its source.', max_length=16)),
                ('labels', models.JSONField(blank=True, default=dict, help_text='Keys and values for filtering.')),
                ('revision', models.PositiveBigIntegerField(default=1, help_text='Number of writes of the definition, including the first.')),
                ('misfire', models.CharField(choices=[('skip', 'Skip'), ('run_once', 'Run Once'), ('run_all', 'Run All')], default='run_once', help_text='Handling of slots that beat did not send in time.', max_length=16)),
                ('catchup_window_seconds', models.PositiveIntegerField(default=3600, help_text='Maximum delay after which a slot may still run.')),
                ('overlap', models.CharField(choices=[('allow', 'Allow'), ('skip', 'Skip'), ('buffer_one', 'Buffer One'), ('cancel_previous', 'Cancel Previous')], default='allow', help_text='Handling of a slot while an earlier run is unfinished.', max_length=16)),
                ('jitter_seconds', models.PositiveIntegerField(default=0, help_text='Maximum delay between a slot and its run, always the same for a slot.')),
                ('max_runtime_seconds', models.PositiveIntegerField(default=3600, help_text='If no worker reports on a run for this long, it is marked `lost`.')),
                ('max_attempts', models.PositiveSmallIntegerField(db_default=1, default=1, help_text='Maximum number of times that a failed or lost run starts.')),
                ('retry_backoff_seconds', models.PositiveIntegerField(db_default=10, default=10, help_text='Delay before the second start of a run; doubles before each later start.')),
                ('pause_after_failures', models.PositiveIntegerField(db_default=0, default=0, help_text='Consecutive failed or lost runs after which the task is paused; 0: never.')),
                ('paused_at', models.DateTimeField(help_text='Start of the pause.', null=True)),
                ('paused_until', models.DateTimeField(help_text='End of the pause, if any.', null=True)),
                ('pause_note', models.CharField(default='', help_text='Its reason.', max_length=500)),
                ('enabled_on_resume', models.BooleanField(default=True)),
                ('resumed_at', models.DateTimeField(help_text='End of the latest pause: slots up to this time do not run.', null=True)),
                ('owner', models.ForeignKey(blank=True, help_text='Owning account; null if unowned.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='periodic_tasks', to='scheduler_api.serviceaccount')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('paused_until__isnull', False)), fields=['paused_until'], name='pauses_that_end')],
            },
        ),
        migrations.CreateModel(
            name='IdempotentResponse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=255)),
                ('fingerprint', models.CharField(max_length=64)),
                ('status', models.PositiveSmallIntegerField()),
                ('headers', models.JSONField(default=dict)),
                ('body', models.TextField()),
                ('created_at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('service_account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='scheduler_api.serviceaccount')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('service_account', 'key'), name='one_answer_per_idempotency_key')],
            },
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(auto_now_add=True, db_index=True)),
                ('account_name', models.CharField(max_length=100)),
                ('key_prefix', models.CharField(max_length=8)),
                ('request_id', models.CharField(max_length=128)),
                ('operation', models.CharField(max_length=100)),
                ('object_type', models.CharField(max_length=50)),
                ('object_id', models.BigIntegerField()),
                ('object_name', models.CharField(max_length=200)),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField(null=True)),
                ('service_account', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='scheduler_api.serviceaccount')),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'indexes': [models.Index(fields=['object_type', 'object_id'], name='scheduler_a_object__61756f_idx')],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('event_id', models.CharField(help_text='ID of the message, sent as `webhook-id` in each attempt.', max_length=40)),
                ('type', models.CharField(help_text='Event type.', max_length=32)),
                ('run_id', models.UUIDField(help_text='Run of the event; null without one.', null=True)),
                ('payload', models.TextField(help_text='The exact body: the signature covers its bytes.')),
                ('state', models.CharField(choices=[('pending', 'Pending'), ('delivered', 'Delivered'), ('dead', 'Dead')], default='pending', max_length=16)),
                ('attempts', models.PositiveSmallIntegerField(default=0, help_text='Number of attempts since the latest request to send it.')),
                ('next_attempt_at', models.DateTimeField(help_text='Time of the next attempt. During an attempt: time when another sender may claim the delivery. Null once delivered or dead.', null=True)),
                ('last_status', models.PositiveSmallIntegerField(help_text='HTTP status of the latest response; null without one.', null=True)),
                ('last_error', models.TextField(default='', help_text='Error of the latest attempt, for people.')),
                ('created_at', models.DateTimeField()),
                ('delivered_at', models.DateTimeField(help_text='Time of arrival.', null=True)),
                ('webhook', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='scheduler_api.webhook')),
            ],
            options={
                'verbose_name_plural': 'deliveries',
                'indexes': [models.Index(condition=models.Q(('state', 'pending')), fields=['next_attempt_at'], name='deliveries_to_be_sent'), models.Index(fields=['webhook', '-id'], name='deliveries_of_a_webhook'), models.Index(fields=['state', '-id'], name='deliveries_that_stand_so'), models.Index(fields=['created_at'], name='deliveries_by_age')],
            },
        ),
    ]
