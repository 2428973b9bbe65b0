BEGIN TRANSACTION;
CREATE TABLE "auth_group" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(150) NOT NULL UNIQUE);
CREATE TABLE "auth_group_permissions" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "group_id" integer NOT NULL REFERENCES "auth_group" ("id") DEFERRABLE INITIALLY DEFERRED, "permission_id" integer NOT NULL REFERENCES "auth_permission" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "auth_permission" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "content_type_id" integer NOT NULL REFERENCES "django_content_type" ("id") DEFERRABLE INITIALLY DEFERRED, "codename" varchar(100) NOT NULL, "name" varchar(255) NOT NULL);
CREATE TABLE "auth_user" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "password" varchar(128) NOT NULL, "last_login" datetime NULL, "is_superuser" bool NOT NULL, "username" varchar(150) NOT NULL UNIQUE, "last_name" varchar(150) NOT NULL, "email" varchar(254) NOT NULL, "is_staff" bool NOT NULL, "is_active" bool NOT NULL, "date_joined" datetime NOT NULL, "first_name" varchar(150) NOT NULL);
CREATE TABLE "auth_user_groups" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED, "group_id" integer NOT NULL REFERENCES "auth_group" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "auth_user_user_permissions" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED, "permission_id" integer NOT NULL REFERENCES "auth_permission" ("id") DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "django_admin_log" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "object_id" text NULL, "object_repr" varchar(200) NOT NULL, "action_flag" smallint unsigned NOT NULL CHECK ("action_flag" >= 0), "change_message" text NOT NULL, "content_type_id" integer NULL REFERENCES "django_content_type" ("id") DEFERRABLE INITIALLY DEFERRED, "user_id" integer NOT NULL REFERENCES "auth_user" ("id") DEFERRABLE INITIALLY DEFERRED, "action_time" datetime NOT NULL);
CREATE TABLE "django_celery_beat_clockedschedule" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "clocked_time" datetime NOT NULL);
INSERT INTO "django_celery_beat_clockedschedule" VALUES(1,'2026-12-01 08:00:00');
CREATE TABLE "django_celery_beat_crontabschedule" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "minute" varchar(240) NOT NULL, "hour" varchar(96) NOT NULL, "day_of_week" varchar(64) NOT NULL, "day_of_month" varchar(124) NOT NULL, "month_of_year" varchar(64) NOT NULL, "timezone" varchar(63) NOT NULL);
INSERT INTO "django_celery_beat_crontabschedule" VALUES(1,'0','3','*','*','*','Europe/Berlin');
CREATE TABLE "django_celery_beat_intervalschedule" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "every" integer NOT NULL, "period" varchar(24) NOT NULL);
INSERT INTO "django_celery_beat_intervalschedule" VALUES(1,5,'minutes');
CREATE TABLE "django_celery_beat_periodictask" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(200) NOT NULL UNIQUE, "task" varchar(200) NOT NULL, "args" text NOT NULL, "kwargs" text NOT NULL, "queue" varchar(200) NULL, "exchange" varchar(200) NULL, "routing_key" varchar(200) NULL, "expires" datetime NULL, "enabled" bool NOT NULL, "last_run_at" datetime NULL, "total_run_count" integer unsigned NOT NULL CHECK ("total_run_count" >= 0), "date_changed" datetime NOT NULL, "description" text NOT NULL, "crontab_id" integer NULL REFERENCES "django_celery_beat_crontabschedule" ("id") DEFERRABLE INITIALLY DEFERRED, "interval_id" integer NULL REFERENCES "django_celery_beat_intervalschedule" ("id") DEFERRABLE INITIALLY DEFERRED, "solar_id" integer NULL REFERENCES "django_celery_beat_solarschedule" ("id") DEFERRABLE INITIALLY DEFERRED, "one_off" bool NOT NULL, "start_time" datetime NULL, "priority" integer unsigned NULL CHECK ("priority" >= 0), "headers" text NOT NULL, "clocked_id" integer NULL REFERENCES "django_celery_beat_clockedschedule" ("id") DEFERRABLE INITIALLY DEFERRED, "expire_seconds" integer unsigned NULL CHECK ("expire_seconds" >= 0));
INSERT INTO "django_celery_beat_periodictask" VALUES(1,'every five minutes','billing.invoice','[1]','{"a": "b"}','billing',NULL,NULL,NULL,1,'2026-11-30 08:00:00',7,'2026-11-30 08:38:36.192608','',NULL,1,NULL,0,NULL,NULL,'{}',NULL,NULL);
INSERT INTO "django_celery_beat_periodictask" VALUES(2,'each night','billing.close','[]','{}',NULL,NULL,NULL,NULL,1,NULL,0,'2026-11-30 08:38:36.216425','',1,NULL,NULL,0,NULL,NULL,'{}',NULL,NULL);
INSERT INTO "django_celery_beat_periodictask" VALUES(3,'at sunset','billing.light','[]','{}',NULL,NULL,NULL,NULL,0,NULL,0,'2026-11-30 08:38:36.219350','',NULL,NULL,1,0,NULL,NULL,'{}',NULL,NULL);
INSERT INTO "django_celery_beat_periodictask" VALUES(4,'once','billing.once','[]','{}',NULL,NULL,NULL,NULL,1,NULL,0,'2026-11-30 08:38:36.242557','',NULL,NULL,NULL,1,NULL,NULL,'{}',1,NULL);
CREATE TABLE "django_celery_beat_periodictasks" ("ident" smallint NOT NULL PRIMARY KEY, "last_update" datetime NOT NULL);
INSERT INTO "django_celery_beat_periodictasks" VALUES(1,'2026-11-30 08:38:36.242953');
CREATE TABLE "django_celery_beat_solarschedule" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "event" varchar(24) NOT NULL, "latitude" decimal NOT NULL, "longitude" decimal NOT NULL);
INSERT INTO "django_celery_beat_solarschedule" VALUES(1,'sunset',52.52,13.405);
CREATE TABLE "django_content_type" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app_label" varchar(100) NOT NULL, "model" varchar(100) NOT NULL);
CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL, "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);
INSERT INTO "django_migrations" VALUES(1,'contenttypes','0001_initial','2026-11-30 08:38:15.154580');
INSERT INTO "django_migrations" VALUES(2,'auth','0001_initial','2026-11-30 08:38:15.246390');
INSERT INTO "django_migrations" VALUES(3,'admin','0001_initial','2026-11-30 08:38:15.297723');
INSERT INTO "django_migrations" VALUES(4,'admin','0002_logentry_remove_auto_add','2026-11-30 08:38:15.339199');
INSERT INTO "django_migrations" VALUES(5,'admin','0003_logentry_add_action_flag_choices','2026-11-30 08:38:15.386794');
INSERT INTO "django_migrations" VALUES(6,'contenttypes','0002_remove_content_type_name','2026-11-30 08:38:15.458760');
INSERT INTO "django_migrations" VALUES(7,'auth','0002_alter_permission_name_max_length','2026-11-30 08:38:15.537147');
INSERT INTO "django_migrations" VALUES(8,'auth','0003_alter_user_email_max_length','2026-11-30 08:38:15.632197');
INSERT INTO "django_migrations" VALUES(9,'auth','0004_alter_user_username_opts','2026-11-30 08:38:15.666455');
INSERT INTO "django_migrations" VALUES(10,'auth','0005_alter_user_last_login_null','2026-11-30 08:38:15.718362');
INSERT INTO "django_migrations" VALUES(11,'auth','0006_require_contenttypes_0002','2026-11-30 08:38:15.719073');
INSERT INTO "django_migrations" VALUES(12,'auth','0007_alter_validators_add_error_messages','2026-11-30 08:38:15.748465');
INSERT INTO "django_migrations" VALUES(13,'auth','0008_alter_user_username_max_length','2026-11-30 08:38:15.790452');
INSERT INTO "django_migrations" VALUES(14,'auth','0009_alter_user_last_name_max_length','2026-11-30 08:38:15.833432');
INSERT INTO "django_migrations" VALUES(15,'auth','0010_alter_group_name_max_length','2026-11-30 08:38:15.873959');
INSERT INTO "django_migrations" VALUES(16,'auth','0011_update_proxy_permissions','2026-11-30 08:38:15.910651');
INSERT INTO "django_migrations" VALUES(17,'auth','0012_alter_user_first_name_max_length','2026-11-30 08:38:15.938215');
INSERT INTO "django_migrations" VALUES(18,'django_celery_beat','0001_initial','2026-11-30 08:38:15.963786');
INSERT INTO "django_migrations" VALUES(19,'django_celery_beat','0002_auto_20161118_0346','2026-11-30 08:38:15.998820');
INSERT INTO "django_migrations" VALUES(20,'django_celery_beat','0003_auto_20161209_0049','2026-11-30 08:38:16.034569');
INSERT INTO "django_migrations" VALUES(21,'django_celery_beat','0004_auto_20170221_0000','2026-11-30 08:38:16.046185');
INSERT INTO "django_migrations" VALUES(22,'django_celery_beat','0005_add_solarschedule_events_choices','2026-11-30 08:38:16.057646');
INSERT INTO "django_migrations" VALUES(23,'django_celery_beat','0006_auto_20180322_0932','2026-11-30 08:38:16.221740');
INSERT INTO "django_migrations" VALUES(24,'django_celery_beat','0007_auto_20180521_0826','2026-11-30 08:38:16.352844');
INSERT INTO "django_migrations" VALUES(25,'django_celery_beat','0008_auto_20180914_1922','2026-11-30 08:38:16.514611');
INSERT INTO "django_migrations" VALUES(26,'django_celery_beat','0006_auto_20180210_1226','2026-11-30 08:38:16.626253');
INSERT INTO "django_migrations" VALUES(27,'django_celery_beat','0006_periodictask_priority','2026-11-30 08:38:16.671073');
INSERT INTO "django_migrations" VALUES(28,'django_celery_beat','0009_periodictask_headers','2026-11-30 08:38:16.755993');
INSERT INTO "django_migrations" VALUES(29,'django_celery_beat','0010_auto_20190429_0326','2026-11-30 08:38:18.240763');
INSERT INTO "django_migrations" VALUES(30,'django_celery_beat','0011_auto_20190508_0153','2026-11-30 08:38:18.294678');
INSERT INTO "django_migrations" VALUES(31,'django_celery_beat','0012_periodictask_expire_seconds','2026-11-30 08:38:18.342455');
INSERT INTO "django_migrations" VALUES(32,'django_celery_beat','0013_auto_20200609_0727','2026-11-30 08:38:18.409208');
INSERT INTO "django_migrations" VALUES(33,'django_celery_beat','0014_remove_clockedschedule_enabled','2026-11-30 08:38:18.426989');
INSERT INTO "django_migrations" VALUES(34,'django_celery_beat','0015_edit_solarschedule_events_choices','2026-11-30 08:38:18.442961');
INSERT INTO "django_migrations" VALUES(35,'django_celery_beat','0016_alter_crontabschedule_timezone','2026-11-30 08:38:18.499502');
INSERT INTO "django_migrations" VALUES(36,'django_celery_beat','0017_alter_crontabschedule_month_of_year','2026-11-30 08:38:18.552921');
INSERT INTO "django_migrations" VALUES(37,'django_celery_beat','0018_improve_crontab_helptext','2026-11-30 08:38:18.576920');
INSERT INTO "django_migrations" VALUES(38,'django_celery_beat','0019_alter_periodictasks_options','2026-11-30 08:38:18.578710');
INSERT INTO "django_migrations" VALUES(39,'scheduler_api','0001_accounts_and_managed_tasks','2026-11-30 08:38:18.695705');
INSERT INTO "django_migrations" VALUES(40,'scheduler_api','0002_idempotency_revisions_audit','2026-11-30 08:38:18.826602');
INSERT INTO "django_migrations" VALUES(41,'scheduler_api','0003_pauses','2026-11-30 08:38:19.411993');
INSERT INTO "django_migrations" VALUES(42,'scheduler_api','0004_rate_limits_and_quotas','2026-11-30 08:38:19.565036');
INSERT INTO "django_migrations" VALUES(43,'scheduler_api','0005_beat_engine','2026-11-30 08:38:20.366115');
INSERT INTO "django_migrations" VALUES(44,'scheduler_api','0006_agenda_triggers','2026-11-30 08:38:20.563519');
INSERT INTO "django_migrations" VALUES(45,'scheduler_api','0007_room_for_updates','2026-11-30 08:38:20.719332');
INSERT INTO "django_migrations" VALUES(46,'scheduler_api','0008_run_outcomes','2026-11-30 08:38:21.535270');
INSERT INTO "django_migrations" VALUES(47,'scheduler_api','0009_attempts_and_events','2026-11-30 08:38:22.015031');
INSERT INTO "django_migrations" VALUES(48,'scheduler_api','0010_webhooks','2026-11-30 08:38:22.441187');
INSERT INTO "django_migrations" VALUES(49,'scheduler_api','0011_workers_and_repeats','2026-11-30 08:38:22.550362');
INSERT INTO "django_migrations" VALUES(50,'sessions','0001_initial','2026-11-30 08:38:22.592850');
CREATE TABLE "django_session" ("session_key" varchar(40) NOT NULL PRIMARY KEY, "session_data" text NOT NULL, "expire_date" datetime NOT NULL);
CREATE TABLE "scheduler_api_agenda" ("periodic_task_id" integer NOT NULL PRIMARY KEY, "slot_at" datetime NULL, "due_at" datetime NULL, "anchor_at" datetime NULL, "since_at" datetime NULL, "served_at" datetime NULL, "timing" varchar(64) NOT NULL, "stale" bool NOT NULL, "stale_at" datetime NULL, "failures" integer unsigned NOT NULL CHECK ("failures" >= 0), "last_error" text NOT NULL, "missed_count" bigint unsigned NOT NULL CHECK ("missed_count" >= 0));
INSERT INTO "scheduler_api_agenda" VALUES(1,'2026-11-30 08:05:00','2026-11-30 08:05:03','2026-11-29 08:00:00','2026-11-30 07:00:00','2026-11-30 08:00:00','dddddddddddddddddddddddddddddddd',0,'2026-11-30 07:00:00',2,'A reason.',11);
INSERT INTO "scheduler_api_agenda" VALUES(2,NULL,NULL,NULL,NULL,NULL,'',1,'2026-11-30 08:38:36.216',0,'',0);
INSERT INTO "scheduler_api_agenda" VALUES(3,NULL,NULL,NULL,NULL,NULL,'',1,'2026-11-30 08:38:36.219',0,'',0);
INSERT INTO "scheduler_api_agenda" VALUES(4,NULL,NULL,NULL,NULL,NULL,'',1,'2026-11-30 08:38:36.242',0,'',0);
CREATE TABLE "scheduler_api_apikey" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "prefix" varchar(8) NOT NULL UNIQUE, "digest" varchar(64) NOT NULL UNIQUE, "created_at" datetime NOT NULL, "expires_at" datetime NULL, "last_used_at" datetime NULL, "revoked_at" datetime NULL, "service_account_id" bigint NOT NULL REFERENCES "scheduler_api_serviceaccount" ("id") DEFERRABLE INITIALLY DEFERRED);
INSERT INTO "scheduler_api_apikey" VALUES(1,'0a1b2c3d','0000000000000000000000000000000000000000000000000000000000000000','2026-11-30 08:38:36.128919','2027-02-28 08:00:00','2026-11-30 08:00:00',NULL,1);
CREATE TABLE "scheduler_api_auditentry" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "at" datetime NOT NULL, "account_name" varchar(100) NOT NULL, "key_prefix" varchar(8) NOT NULL, "request_id" varchar(128) NOT NULL, "operation" varchar(100) NOT NULL, "object_type" varchar(50) NOT NULL, "object_id" bigint NOT NULL, "object_name" varchar(200) NOT NULL, "before" text NULL CHECK ((JSON_VALID("before") OR "before" IS NULL)), "after" text NULL CHECK ((JSON_VALID("after") OR "after" IS NULL)), "service_account_id" bigint NULL REFERENCES "scheduler_api_serviceaccount" ("id") DEFERRABLE INITIALLY DEFERRED);
INSERT INTO "scheduler_api_auditentry" VALUES(1,'2026-11-30 08:38:36.327605','billing','0a1b2c3d','r-1','create','periodic_task',1,'every five minutes',NULL,'{"a": 1}',1);
CREATE TABLE "scheduler_api_beatheartbeat" ("id" char(32) NOT NULL PRIMARY KEY, "host" varchar(255) NOT NULL, "pid" integer unsigned NOT NULL CHECK ("pid" >= 0), "started_at" datetime NOT NULL, "ticked_at" datetime NOT NULL, "lag_seconds" real NOT NULL, "trouble" text NOT NULL);
INSERT INTO "scheduler_api_beatheartbeat" VALUES('00000000000000000000000000000009','beat-1',17,'2026-11-30 08:00:00','2026-11-30 08:00:00',0.25,'The broker does not answer.');
CREATE TABLE "scheduler_api_delivery" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "event_id" varchar(40) NOT NULL, "type" varchar(32) NOT NULL, "run_id" char(32) NULL, "payload" text NOT NULL, "state" varchar(16) NOT NULL, "attempts" smallint unsigned NOT NULL CHECK ("attempts" >= 0), "next_attempt_at" datetime NULL, "last_status" smallint unsigned NULL CHECK ("last_status" >= 0), "last_error" text NOT NULL, "created_at" datetime NOT NULL, "delivered_at" datetime NULL, "webhook_id" bigint NOT NULL REFERENCES "scheduler_api_webhook" ("id") DEFERRABLE INITIALLY DEFERRED);
INSERT INTO "scheduler_api_delivery" VALUES(1,'evt_1','run.failed','00000000000000000000000000000005','{}','pending',1,'2026-11-30 08:00:00',500,'HTTP 500','2026-11-30 08:00:00',NULL,1);
CREATE TABLE "scheduler_api_failurestreak" ("periodic_task_id" integer NOT NULL PRIMARY KEY, "failures" integer unsigned NOT NULL CHECK ("failures" >= 0), "since_at" datetime NOT NULL);
INSERT INTO "scheduler_api_failurestreak" VALUES(1,3,'2026-11-30 07:59:00');
CREATE TABLE "scheduler_api_idempotentresponse" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "key" varchar(255) NOT NULL, "fingerprint" varchar(64) NOT NULL, "status" smallint unsigned NOT NULL CHECK ("status" >= 0), "headers" text NOT NULL CHECK ((JSON_VALID("headers") OR "headers" IS NULL)), "body" text NOT NULL, "created_at" datetime NOT NULL, "service_account_id" bigint NOT NULL REFERENCES "scheduler_api_serviceaccount" ("id") DEFERRABLE INITIALLY DEFERRED, CONSTRAINT "one_answer_per_idempotency_key" UNIQUE ("service_account_id", "key"));
INSERT INTO "scheduler_api_idempotentresponse" VALUES(1,'k-1','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',201,'{"ETag": "\"1\""}','{}','2026-11-30 08:38:36.345150',1);
CREATE TABLE "scheduler_api_managedtask" ("periodic_task_id" integer NOT NULL PRIMARY KEY REFERENCES "django_celery_beat_periodictask" ("id") DEFERRABLE INITIALLY DEFERRED, "managed_by" varchar(16) NOT NULL, "labels" text NOT NULL CHECK ((JSON_VALID("labels") OR "labels" IS NULL)), "revision" bigint unsigned NOT NULL CHECK ("revision" >= 0), "owner_id" bigint NULL REFERENCES "scheduler_api_serviceaccount" ("id") DEFERRABLE INITIALLY DEFERRED, "enabled_on_resume" bool NOT NULL, "pause_note" varchar(500) NOT NULL, "paused_at" datetime NULL, "paused_until" datetime NULL, "resumed_at" datetime NULL, "catchup_window_seconds" integer unsigned NOT NULL CHECK ("catchup_window_seconds" >= 0), "jitter_seconds" integer unsigned NOT NULL CHECK ("jitter_seconds" >= 0), "max_runtime_seconds" integer unsigned NOT NULL CHECK ("max_runtime_seconds" >= 0), "misfire" varchar(16) NOT NULL, "overlap" varchar(16) NOT NULL, "max_attempts" smallint unsigned DEFAULT 1 NOT NULL CHECK ("max_attempts" >= 0), "pause_after_failures" integer unsigned DEFAULT 0 NOT NULL CHECK ("pause_after_failures" >= 0), "retry_backoff_seconds" integer unsigned DEFAULT 10 NOT NULL CHECK ("retry_backoff_seconds" >= 0));
INSERT INTO "scheduler_api_managedtask" VALUES(1,'api','{"team": "billing"}',3,1,1,'',NULL,NULL,NULL,60,5,120,'run_all','buffer_one',3,4,7);
INSERT INTO "scheduler_api_managedtask" VALUES(3,'manifest','{}',1,1,1,'Maintenance','2026-11-30 08:00:00','2026-12-02 08:00:00','2026-11-21 08:00:00',3600,0,3600,'run_once','allow',1,0,10);
CREATE TABLE "scheduler_api_outbox" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "run_ids" text NOT NULL CHECK ((JSON_VALID("run_ids") OR "run_ids" IS NULL)), "created_at" datetime NOT NULL, "retry_at" datetime NOT NULL);
INSERT INTO "scheduler_api_outbox" VALUES(1,'["00000000-0000-0000-0000-000000000006"]','2026-11-30 08:00:00','2026-11-30 08:00:15');
CREATE TABLE "scheduler_api_ratelimitwindow" ("subject" varchar(100) NOT NULL PRIMARY KEY, "minute" bigint NOT NULL, "taken" bigint NOT NULL, "leased" bigint NOT NULL);
INSERT INTO "scheduler_api_ratelimitwindow" VALUES('account 1',29000000,12,3);
CREATE TABLE "scheduler_api_repeat" ("run_id" char(32) NOT NULL PRIMARY KEY, "queue" varchar(255) NOT NULL, "count" integer unsigned NOT NULL CHECK ("count" >= 0), "again_at" datetime NOT NULL);
INSERT INTO "scheduler_api_repeat" VALUES('00000000000000000000000000000006','billing',2,'2026-11-30 08:01:00');
CREATE TABLE "scheduler_api_run" ("id" char(32) NOT NULL PRIMARY KEY, "periodic_task_id" integer NOT NULL, "periodic_task_name" varchar(200) NOT NULL, "owner_id" bigint NULL, "task" varchar(200) NOT NULL, "trigger" varchar(16) NOT NULL, "slot_at" datetime NULL, "due_at" datetime NOT NULL, "slot_count" integer unsigned NOT NULL CHECK ("slot_count" >= 0), "last_slot_at" datetime NULL, "state" varchar(16) NOT NULL, "ended_as" varchar(16) GENERATED ALWAYS AS (CASE WHEN "state" IN ('pending', 'queued', 'running') THEN NULL ELSE "state" END) STORED, "reason" text NOT NULL, "is_held" bool NOT NULL, "created_at" datetime NOT NULL, "queued_at" datetime NULL, "started_at" datetime NULL, "args" text NOT NULL, "kwargs" text NOT NULL, "options" text NOT NULL, "attempts" integer unsigned DEFAULT 0 NOT NULL CHECK ("attempts" >= 0), "error_message" text DEFAULT '' NOT NULL, "error_type" varchar(200) DEFAULT '' NOT NULL, "finished_at" datetime NULL, "is_result_truncated" bool DEFAULT 0 NOT NULL, "is_to_end" bool DEFAULT 0 NOT NULL, "lease_until" datetime NULL, "result" text DEFAULT '' NOT NULL, "traceback" text DEFAULT '' NOT NULL, "worker" varchar(255) DEFAULT '' NOT NULL);
INSERT INTO "scheduler_api_run" VALUES('00000000000000000000000000000001',1,'every five minutes',1,'billing.invoice','schedule','2026-11-30 08:00:00','2026-11-30 08:00:00',1,NULL,'succeeded','',0,'2026-11-30 08:00:00','2026-11-30 08:00:00','2026-11-30 08:00:00','[1]','{"a": "b"}','{"queue": "billing"}',1,'','','2026-11-30 08:00:01',0,0,NULL,'"done"','','celery@one');
INSERT INTO "scheduler_api_run" VALUES('00000000000000000000000000000002',1,'every five minutes',1,'billing.invoice','schedule','2026-11-30 08:05:00','2026-11-30 08:00:00',1,NULL,'running','Cancelled by a caller.',0,'2026-11-30 08:00:00',NULL,'2026-11-30 08:00:00','[]','{}','{}',2,'','',NULL,0,1,'2026-11-30 08:02:00','','','');
INSERT INTO "scheduler_api_run" VALUES('00000000000000000000000000000003',1,'every five minutes',1,'billing.invoice','schedule','2026-11-30 08:10:00','2026-11-30 08:00:00',1,NULL,'pending','The run before it has not ended.',1,'2026-11-30 08:00:00',NULL,NULL,'[]','{}','{}',0,'','',NULL,0,0,NULL,'','','');
INSERT INTO "scheduler_api_run" VALUES('00000000000000000000000000000004',1,'every five minutes',1,'billing.invoice','backfill','2026-11-30 06:00:00','2026-11-30 08:00:00',13,'2026-11-30 07:00:00','missed','',0,'2026-11-30 08:00:00',NULL,NULL,'[]','{}','{}',0,'','',NULL,0,0,NULL,'','','');
INSERT INTO "scheduler_api_run" VALUES('00000000000000000000000000000005',1,'every five minutes',1,'billing.invoice','manual',NULL,'2026-11-30 08:00:00',1,NULL,'failed','',0,'2026-11-30 08:00:00',NULL,NULL,'[]','{}','{}',0,'A message.','ValueError','2026-11-30 08:00:00',1,0,NULL,'','A traceback.','');
INSERT INTO "scheduler_api_run" VALUES('00000000000000000000000000000006',1,'every five minutes',1,'billing.invoice','schedule','2026-11-30 08:15:00','2026-11-30 08:00:00',1,NULL,'queued','',0,'2026-11-30 08:00:00','2026-11-30 08:00:00',NULL,'[]','{}','{}',0,'','',NULL,0,0,NULL,'','','');
CREATE TABLE "scheduler_api_runevent" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "kind" varchar(32) NOT NULL, "run_id" char(32) NOT NULL, "periodic_task_id" integer NOT NULL, "owner_id" bigint NULL, "at" datetime NOT NULL);
INSERT INTO "scheduler_api_runevent" VALUES(1,'run.failed','00000000000000000000000000000005',1,1,'2026-11-30 08:00:00');
CREATE TABLE "scheduler_api_schedulerevision" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "kind" varchar(16) NOT NULL, "schedule_id" bigint NOT NULL, "revision" bigint unsigned NOT NULL CHECK ("revision" >= 0), CONSTRAINT "one_revision_per_schedule" UNIQUE ("kind", "schedule_id"));
INSERT INTO "scheduler_api_schedulerevision" VALUES(1,'interval',1,2);
CREATE TABLE "scheduler_api_serviceaccount" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(100) NOT NULL UNIQUE, "scopes" text NOT NULL CHECK ((JSON_VALID("scopes") OR "scopes" IS NULL)), "task_patterns" text NOT NULL CHECK ((JSON_VALID("task_patterns") OR "task_patterns" IS NULL)), "queues" text NOT NULL CHECK ((JSON_VALID("queues") OR "queues" IS NULL)), "sees_unowned" bool NOT NULL, "created_at" datetime NOT NULL, "max_periodic_tasks" integer unsigned NULL CHECK ("max_periodic_tasks" >= 0), "min_interval_seconds" integer unsigned NULL CHECK ("min_interval_seconds" >= 0), "requests_per_minute" integer unsigned NULL CHECK ("requests_per_minute" >= 0));
INSERT INTO "scheduler_api_serviceaccount" VALUES(1,'billing','["runs:read"]','["billing.*"]','["billing"]',0,'2026-11-30 08:38:36.101514',10,60,600);
CREATE TABLE "scheduler_api_tasklist" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "digest" varchar(64) NOT NULL UNIQUE);
INSERT INTO "scheduler_api_tasklist" VALUES(1,'1111111111111111111111111111111111111111111111111111111111111111');
CREATE TABLE "scheduler_api_tasklist_specs" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "tasklist_id" bigint NOT NULL REFERENCES "scheduler_api_tasklist" ("id") DEFERRABLE INITIALLY DEFERRED, "taskspec_id" bigint NOT NULL REFERENCES "scheduler_api_taskspec" ("id") DEFERRABLE INITIALLY DEFERRED);
INSERT INTO "scheduler_api_tasklist_specs" VALUES(1,1,1);
CREATE TABLE "scheduler_api_taskspec" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(200) NOT NULL UNIQUE, "doc" text NOT NULL, "schema" text NOT NULL, "is_recorded" bool NOT NULL, "last_seen_at" datetime NOT NULL);
INSERT INTO "scheduler_api_taskspec" VALUES(1,'billing.invoice','Send invoices.','{"type": "object"}',1,'2026-11-30 08:00:00');
CREATE TABLE "scheduler_api_webhook" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(200) NOT NULL, "url" varchar(2000) NOT NULL, "events" text NOT NULL CHECK ((JSON_VALID("events") OR "events" IS NULL)), "label" varchar(1000) NOT NULL, "enabled" bool NOT NULL, "disabled_at" datetime NULL, "disabled_reason" text NOT NULL, "salt" varchar(64) NOT NULL, "key_id" varchar(16) NOT NULL, "previous_salt" varchar(64) NOT NULL, "previous_key_id" varchar(16) NOT NULL, "previous_until" datetime NULL, "created_at" datetime NOT NULL, "owner_id" bigint NOT NULL REFERENCES "scheduler_api_serviceaccount" ("id") DEFERRABLE INITIALLY DEFERRED);
INSERT INTO "scheduler_api_webhook" VALUES(1,'pager','https://example.org/hook','["run.failed"]','team=billing',1,NULL,'','2222222222222222222222222222222222222222222222222222222222222222','3333333333333333','','',NULL,'2026-11-30 08:38:36.346450',1);
CREATE TABLE "scheduler_api_worker" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "name" varchar(255) NOT NULL UNIQUE, "session" char(32) NOT NULL, "queues" text NOT NULL CHECK ((JSON_VALID("queues") OR "queues" IS NULL)), "version" varchar(100) NOT NULL, "celery_version" varchar(100) NOT NULL, "pid" integer unsigned NOT NULL CHECK ("pid" >= 0), "concurrency" integer unsigned NOT NULL CHECK ("concurrency" >= 0), "started_at" datetime NOT NULL, "last_seen_at" datetime NOT NULL, "stopped_at" datetime NULL, "task_list_id" bigint NOT NULL REFERENCES "scheduler_api_tasklist" ("id") DEFERRABLE INITIALLY DEFERRED);
INSERT INTO "scheduler_api_worker" VALUES(1,'celery@one','0000000000000000000000000000000a','["billing"]','1','5.5',18,4,'2026-11-30 08:00:00','2026-11-30 08:00:00',NULL,1);
CREATE UNIQUE INDEX "auth_group_permissions_group_id_permission_id_0cd325b0_uniq" ON "auth_group_permissions" ("group_id", "permission_id");
CREATE INDEX "auth_group_permissions_group_id_b120cbf9" ON "auth_group_permissions" ("group_id");
CREATE INDEX "auth_group_permissions_permission_id_84c5c92e" ON "auth_group_permissions" ("permission_id");
CREATE UNIQUE INDEX "auth_user_groups_user_id_group_id_94350c0c_uniq" ON "auth_user_groups" ("user_id", "group_id");
CREATE INDEX "auth_user_groups_user_id_6a12ed8b" ON "auth_user_groups" ("user_id");
CREATE INDEX "auth_user_groups_group_id_97559544" ON "auth_user_groups" ("group_id");
CREATE UNIQUE INDEX "auth_user_user_permissions_user_id_permission_id_14a6b632_uniq" ON "auth_user_user_permissions" ("user_id", "permission_id");
CREATE INDEX "auth_user_user_permissions_user_id_a95ead1b" ON "auth_user_user_permissions" ("user_id");
CREATE INDEX "auth_user_user_permissions_permission_id_1fbb5f2c" ON "auth_user_user_permissions" ("permission_id");
CREATE INDEX "django_admin_log_content_type_id_c4bce8eb" ON "django_admin_log" ("content_type_id");
CREATE INDEX "django_admin_log_user_id_c564eba6" ON "django_admin_log" ("user_id");
CREATE UNIQUE INDEX "django_content_type_app_label_model_76bd3d3b_uniq" ON "django_content_type" ("app_label", "model");
CREATE UNIQUE INDEX "auth_permission_content_type_id_codename_01ab375a_uniq" ON "auth_permission" ("content_type_id", "codename");
CREATE INDEX "auth_permission_content_type_id_2f476e4b" ON "auth_permission" ("content_type_id");
CREATE UNIQUE INDEX "django_celery_beat_solarschedule_event_latitude_longitude_ba64999a_uniq" ON "django_celery_beat_solarschedule" ("event", "latitude", "longitude");
CREATE INDEX "django_celery_beat_periodictask_crontab_id_d3cba168" ON "django_celery_beat_periodictask" ("crontab_id");
CREATE INDEX "django_celery_beat_periodictask_interval_id_a8ca27da" ON "django_celery_beat_periodictask" ("interval_id");
CREATE INDEX "django_celery_beat_periodictask_solar_id_a87ce72c" ON "django_celery_beat_periodictask" ("solar_id");
CREATE INDEX "django_celery_beat_periodictask_clocked_id_47a69f82" ON "django_celery_beat_periodictask" ("clocked_id");
CREATE INDEX "scheduler_api_apikey_service_account_id_3cc9aca6" ON "scheduler_api_apikey" ("service_account_id");
CREATE INDEX "scheduler_api_auditentry_at_978219e2" ON "scheduler_api_auditentry" ("at");
CREATE INDEX "scheduler_api_auditentry_service_account_id_e6bbf3c4" ON "scheduler_api_auditentry" ("service_account_id");
CREATE INDEX "scheduler_a_object__61756f_idx" ON "scheduler_api_auditentry" ("object_type", "object_id");
CREATE INDEX "scheduler_api_idempotentresponse_created_at_306e3b45" ON "scheduler_api_idempotentresponse" ("created_at");
CREATE INDEX "scheduler_api_idempotentresponse_service_account_id_79e2a8d1" ON "scheduler_api_idempotentresponse" ("service_account_id");
CREATE INDEX "scheduler_api_ratelimitwindow_minute_f49e11ca" ON "scheduler_api_ratelimitwindow" ("minute");
CREATE INDEX "scheduler_api_outbox_retry_at_160d4c55" ON "scheduler_api_outbox" ("retry_at");
CREATE INDEX "agenda_due" ON "scheduler_api_agenda" ("due_at", "periodic_task_id") WHERE "due_at" IS NOT NULL;
CREATE INDEX "agenda_stale" ON "scheduler_api_agenda" ("stale_at", "periodic_task_id") WHERE "stale";
CREATE INDEX "runs_by_time" ON "scheduler_api_run" ("created_at" DESC, "id" DESC);
CREATE INDEX "runs_of_a_task" ON "scheduler_api_run" ("periodic_task_id", "created_at" DESC, "id" DESC);
CREATE INDEX "runs_of_an_owner" ON "scheduler_api_run" ("owner_id", "created_at" DESC, "id" DESC);
CREATE INDEX "runs_that_are_held" ON "scheduler_api_run" ("periodic_task_id") WHERE "is_held";
CREATE INDEX "runs_that_ended_so" ON "scheduler_api_run" ("ended_as", "created_at" DESC, "id" DESC);
CREATE INDEX "runs_with_a_lease" ON "scheduler_api_run" ("lease_until") WHERE "lease_until" IS NOT NULL;
CREATE INDEX "scheduler_api_managedtask_owner_id_735bd927" ON "scheduler_api_managedtask" ("owner_id");
CREATE INDEX "pauses_that_end" ON "scheduler_api_managedtask" ("paused_until") WHERE "paused_until" IS NOT NULL;
CREATE INDEX "scheduler_api_webhook_owner_id_72006199" ON "scheduler_api_webhook" ("owner_id");
CREATE INDEX "scheduler_api_delivery_webhook_id_317519ad" ON "scheduler_api_delivery" ("webhook_id");
CREATE INDEX "deliveries_to_be_sent" ON "scheduler_api_delivery" ("next_attempt_at") WHERE "state" = 'pending';
CREATE INDEX "deliveries_of_a_webhook" ON "scheduler_api_delivery" ("webhook_id", "id" DESC);
CREATE INDEX "deliveries_that_stand_so" ON "scheduler_api_delivery" ("state", "id" DESC);
CREATE INDEX "deliveries_by_age" ON "scheduler_api_delivery" ("created_at");
CREATE UNIQUE INDEX "scheduler_api_tasklist_specs_tasklist_id_taskspec_id_abd205f9_uniq" ON "scheduler_api_tasklist_specs" ("tasklist_id", "taskspec_id");
CREATE INDEX "scheduler_api_tasklist_specs_tasklist_id_5266eec6" ON "scheduler_api_tasklist_specs" ("tasklist_id");
CREATE INDEX "scheduler_api_tasklist_specs_taskspec_id_eb4e4c76" ON "scheduler_api_tasklist_specs" ("taskspec_id");
CREATE INDEX "scheduler_api_worker_task_list_id_0ed20302" ON "scheduler_api_worker" ("task_list_id");
CREATE INDEX "django_session_expire_date_a5c62663" ON "django_session" ("expire_date");
CREATE TRIGGER scheduler_api_task_inserted AFTER INSERT ON django_celery_beat_periodictask BEGIN 
    INSERT INTO scheduler_api_agenda
        (periodic_task_id, stale, stale_at, timing, failures, last_error, missed_count)
    VALUES (NEW.id, 1, strftime('%Y-%m-%d %H:%M:%f', 'now'), '', 0, '', 0)
    ON CONFLICT (periodic_task_id) DO UPDATE SET stale = 1, stale_at = excluded.stale_at;
 END;
CREATE TRIGGER scheduler_api_task_updated AFTER UPDATE OF name, task, interval_id, crontab_id, solar_id, clocked_id, args, kwargs, queue, exchange, routing_key, headers, priority, expires, expire_seconds, one_off, start_time, enabled ON django_celery_beat_periodictask WHEN OLD.name IS NOT NEW.name OR OLD.task IS NOT NEW.task OR OLD.interval_id IS NOT NEW.interval_id OR OLD.crontab_id IS NOT NEW.crontab_id OR OLD.solar_id IS NOT NEW.solar_id OR OLD.clocked_id IS NOT NEW.clocked_id OR OLD.args IS NOT NEW.args OR OLD.kwargs IS NOT NEW.kwargs OR OLD.queue IS NOT NEW.queue OR OLD.exchange IS NOT NEW.exchange OR OLD.routing_key IS NOT NEW.routing_key OR OLD.headers IS NOT NEW.headers OR OLD.priority IS NOT NEW.priority OR OLD.expires IS NOT NEW.expires OR OLD.expire_seconds IS NOT NEW.expire_seconds OR OLD.one_off IS NOT NEW.one_off OR OLD.start_time IS NOT NEW.start_time OR OLD.enabled IS NOT NEW.enabled BEGIN 
    INSERT INTO scheduler_api_agenda
        (periodic_task_id, stale, stale_at, timing, failures, last_error, missed_count)
    VALUES (NEW.id, 1, strftime('%Y-%m-%d %H:%M:%f', 'now'), '', 0, '', 0)
    ON CONFLICT (periodic_task_id) DO UPDATE SET stale = 1, stale_at = excluded.stale_at;
 END;
CREATE TRIGGER scheduler_api_task_deleted AFTER DELETE ON django_celery_beat_periodictask BEGIN 
    DELETE FROM scheduler_api_agenda WHERE periodic_task_id = OLD.id;
 END;
CREATE TRIGGER scheduler_api_half_inserted AFTER INSERT ON scheduler_api_managedtask WHEN NEW.jitter_seconds > 0 BEGIN 
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE periodic_task_id = NEW.periodic_task_id;
 END;
CREATE TRIGGER scheduler_api_half_updated AFTER UPDATE OF jitter_seconds ON scheduler_api_managedtask WHEN OLD.jitter_seconds IS NOT NEW.jitter_seconds BEGIN 
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE periodic_task_id = NEW.periodic_task_id;
 END;
CREATE TRIGGER scheduler_api_half_deleted AFTER DELETE ON scheduler_api_managedtask WHEN OLD.jitter_seconds > 0 BEGIN 
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE periodic_task_id = OLD.periodic_task_id;
 END;
CREATE TRIGGER scheduler_api_interval_updated AFTER UPDATE OF every, period ON django_celery_beat_intervalschedule WHEN OLD.every IS NOT NEW.every OR OLD.period IS NOT NEW.period BEGIN 
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE periodic_task_id IN
        (SELECT id FROM django_celery_beat_periodictask WHERE interval_id = NEW.id);
 END;
CREATE TRIGGER scheduler_api_crontab_updated AFTER UPDATE OF minute, hour, day_of_month, month_of_year, day_of_week, timezone ON django_celery_beat_crontabschedule WHEN OLD.minute IS NOT NEW.minute OR OLD.hour IS NOT NEW.hour OR OLD.day_of_month IS NOT NEW.day_of_month OR OLD.month_of_year IS NOT NEW.month_of_year OR OLD.day_of_week IS NOT NEW.day_of_week OR OLD.timezone IS NOT NEW.timezone BEGIN 
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE periodic_task_id IN
        (SELECT id FROM django_celery_beat_periodictask WHERE crontab_id = NEW.id);
 END;
CREATE TRIGGER scheduler_api_solar_updated AFTER UPDATE OF event, latitude, longitude ON django_celery_beat_solarschedule WHEN OLD.event IS NOT NEW.event OR OLD.latitude IS NOT NEW.latitude OR OLD.longitude IS NOT NEW.longitude BEGIN 
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE periodic_task_id IN
        (SELECT id FROM django_celery_beat_periodictask WHERE solar_id = NEW.id);
 END;
CREATE TRIGGER scheduler_api_clocked_updated AFTER UPDATE OF clocked_time ON django_celery_beat_clockedschedule WHEN OLD.clocked_time IS NOT NEW.clocked_time BEGIN 
    UPDATE scheduler_api_agenda SET stale = 1, stale_at = strftime('%Y-%m-%d %H:%M:%f', 'now')
    WHERE periodic_task_id IN
        (SELECT id FROM django_celery_beat_periodictask WHERE clocked_id = NEW.id);
 END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('django_migrations',50);
INSERT INTO "sqlite_sequence" VALUES('django_admin_log',0);
INSERT INTO "sqlite_sequence" VALUES('django_content_type',31);
INSERT INTO "sqlite_sequence" VALUES('auth_permission',124);
INSERT INTO "sqlite_sequence" VALUES('auth_group',0);
INSERT INTO "sqlite_sequence" VALUES('auth_user',0);
INSERT INTO "sqlite_sequence" VALUES('django_celery_beat_periodictask',4);
INSERT INTO "sqlite_sequence" VALUES('django_celery_beat_crontabschedule',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_serviceaccount',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_apikey',1);
INSERT INTO "sqlite_sequence" VALUES('django_celery_beat_intervalschedule',1);
INSERT INTO "sqlite_sequence" VALUES('django_celery_beat_solarschedule',1);
INSERT INTO "sqlite_sequence" VALUES('django_celery_beat_clockedschedule',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_runevent',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_outbox',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_taskspec',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_tasklist',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_tasklist_specs',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_worker',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_schedulerevision',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_auditentry',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_idempotentresponse',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_webhook',1);
INSERT INTO "sqlite_sequence" VALUES('scheduler_api_delivery',1);
COMMIT;
