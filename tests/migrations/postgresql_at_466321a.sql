SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE FUNCTION public.scheduler_api_clocked_written() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
BEGIN

    PERFORM 1 FROM scheduler_api_agenda AS agenda
    JOIN django_celery_beat_periodictask AS task ON task.id = agenda.periodic_task_id
    WHERE task.clocked_id = NEW.id
    ORDER BY agenda.periodic_task_id FOR NO KEY UPDATE OF agenda;
    UPDATE scheduler_api_agenda AS agenda SET stale = true, stale_at = clock_timestamp()
    FROM django_celery_beat_periodictask AS task
    WHERE task.id = agenda.periodic_task_id AND task.clocked_id = NEW.id;
    NOTIFY scheduler_api_agenda;

    RETURN NULL;
END $$;

CREATE FUNCTION public.scheduler_api_crontab_written() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
BEGIN

    PERFORM 1 FROM scheduler_api_agenda AS agenda
    JOIN django_celery_beat_periodictask AS task ON task.id = agenda.periodic_task_id
    WHERE task.crontab_id = NEW.id
    ORDER BY agenda.periodic_task_id FOR NO KEY UPDATE OF agenda;
    UPDATE scheduler_api_agenda AS agenda SET stale = true, stale_at = clock_timestamp()
    FROM django_celery_beat_periodictask AS task
    WHERE task.id = agenda.periodic_task_id AND task.crontab_id = NEW.id;
    NOTIFY scheduler_api_agenda;

    RETURN NULL;
END $$;

CREATE FUNCTION public.scheduler_api_half_written() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
BEGIN

    UPDATE scheduler_api_agenda SET stale = true, stale_at = clock_timestamp()
    WHERE periodic_task_id = coalesce(NEW.periodic_task_id, OLD.periodic_task_id);
    NOTIFY scheduler_api_agenda;

    RETURN NULL;
END $$;

CREATE FUNCTION public.scheduler_api_interval_written() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
BEGIN

    PERFORM 1 FROM scheduler_api_agenda AS agenda
    JOIN django_celery_beat_periodictask AS task ON task.id = agenda.periodic_task_id
    WHERE task.interval_id = NEW.id
    ORDER BY agenda.periodic_task_id FOR NO KEY UPDATE OF agenda;
    UPDATE scheduler_api_agenda AS agenda SET stale = true, stale_at = clock_timestamp()
    FROM django_celery_beat_periodictask AS task
    WHERE task.id = agenda.periodic_task_id AND task.interval_id = NEW.id;
    NOTIFY scheduler_api_agenda;

    RETURN NULL;
END $$;

CREATE FUNCTION public.scheduler_api_solar_written() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
BEGIN

    PERFORM 1 FROM scheduler_api_agenda AS agenda
    JOIN django_celery_beat_periodictask AS task ON task.id = agenda.periodic_task_id
    WHERE task.solar_id = NEW.id
    ORDER BY agenda.periodic_task_id FOR NO KEY UPDATE OF agenda;
    UPDATE scheduler_api_agenda AS agenda SET stale = true, stale_at = clock_timestamp()
    FROM django_celery_beat_periodictask AS task
    WHERE task.id = agenda.periodic_task_id AND task.solar_id = NEW.id;
    NOTIFY scheduler_api_agenda;

    RETURN NULL;
END $$;

CREATE FUNCTION public.scheduler_api_task_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
BEGIN

    DELETE FROM scheduler_api_agenda WHERE periodic_task_id = OLD.id;

    RETURN NULL;
END $$;

CREATE FUNCTION public.scheduler_api_task_written() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
BEGIN

    IF NEW.interval_id IS DISTINCT FROM OLD.interval_id THEN
        PERFORM 1 FROM django_celery_beat_intervalschedule WHERE id = NEW.interval_id FOR SHARE;
    END IF;

    IF NEW.crontab_id IS DISTINCT FROM OLD.crontab_id THEN
        PERFORM 1 FROM django_celery_beat_crontabschedule WHERE id = NEW.crontab_id FOR SHARE;
    END IF;

    IF NEW.solar_id IS DISTINCT FROM OLD.solar_id THEN
        PERFORM 1 FROM django_celery_beat_solarschedule WHERE id = NEW.solar_id FOR SHARE;
    END IF;

    IF NEW.clocked_id IS DISTINCT FROM OLD.clocked_id THEN
        PERFORM 1 FROM django_celery_beat_clockedschedule WHERE id = NEW.clocked_id FOR SHARE;
    END IF;

    INSERT INTO scheduler_api_agenda
        (periodic_task_id, stale, stale_at, timing, failures, last_error, missed_count)
    VALUES (NEW.id, true, clock_timestamp(), '', 0, '', 0)
    ON CONFLICT (periodic_task_id) DO UPDATE SET stale = true, stale_at = EXCLUDED.stale_at;
    NOTIFY scheduler_api_agenda;

    RETURN NULL;
END $$;

CREATE FUNCTION public.scheduler_api_tasks_truncated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO '$user', 'public'
    AS $$
BEGIN

    DELETE FROM scheduler_api_agenda;

    RETURN NULL;
END $$;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.auth_group (
    id integer NOT NULL,
    name character varying(150) NOT NULL
);

ALTER TABLE public.auth_group ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_group_permissions (
    id bigint NOT NULL,
    group_id integer NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.auth_group_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_group_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_permission (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    content_type_id integer NOT NULL,
    codename character varying(100) NOT NULL
);

ALTER TABLE public.auth_permission ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_permission_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_user (
    id integer NOT NULL,
    password character varying(128) NOT NULL,
    last_login timestamp with time zone,
    is_superuser boolean NOT NULL,
    username character varying(150) NOT NULL,
    first_name character varying(150) NOT NULL,
    last_name character varying(150) NOT NULL,
    email character varying(254) NOT NULL,
    is_staff boolean NOT NULL,
    is_active boolean NOT NULL,
    date_joined timestamp with time zone NOT NULL
);

CREATE TABLE public.auth_user_groups (
    id bigint NOT NULL,
    user_id integer NOT NULL,
    group_id integer NOT NULL
);

ALTER TABLE public.auth_user_groups ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_groups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE public.auth_user ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.auth_user_user_permissions (
    id bigint NOT NULL,
    user_id integer NOT NULL,
    permission_id integer NOT NULL
);

ALTER TABLE public.auth_user_user_permissions ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.auth_user_user_permissions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_admin_log (
    id integer NOT NULL,
    action_time timestamp with time zone NOT NULL,
    object_id text,
    object_repr character varying(200) NOT NULL,
    action_flag smallint NOT NULL,
    change_message text NOT NULL,
    content_type_id integer,
    user_id integer NOT NULL,
    CONSTRAINT django_admin_log_action_flag_check CHECK ((action_flag >= 0))
);

ALTER TABLE public.django_admin_log ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_admin_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_celery_beat_clockedschedule (
    id integer NOT NULL,
    clocked_time timestamp with time zone NOT NULL
);

ALTER TABLE public.django_celery_beat_clockedschedule ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_celery_beat_clockedschedule_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_celery_beat_crontabschedule (
    id integer NOT NULL,
    minute character varying(240) NOT NULL,
    hour character varying(96) NOT NULL,
    day_of_week character varying(64) NOT NULL,
    day_of_month character varying(124) NOT NULL,
    month_of_year character varying(64) NOT NULL,
    timezone character varying(63) NOT NULL
);

ALTER TABLE public.django_celery_beat_crontabschedule ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_celery_beat_crontabschedule_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_celery_beat_intervalschedule (
    id integer NOT NULL,
    every integer NOT NULL,
    period character varying(24) NOT NULL
);

ALTER TABLE public.django_celery_beat_intervalschedule ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_celery_beat_intervalschedule_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_celery_beat_periodictask (
    id integer NOT NULL,
    name character varying(200) NOT NULL,
    task character varying(200) NOT NULL,
    args text NOT NULL,
    kwargs text NOT NULL,
    queue character varying(200),
    exchange character varying(200),
    routing_key character varying(200),
    expires timestamp with time zone,
    enabled boolean NOT NULL,
    last_run_at timestamp with time zone,
    total_run_count integer NOT NULL,
    date_changed timestamp with time zone NOT NULL,
    description text NOT NULL,
    crontab_id integer,
    interval_id integer,
    solar_id integer,
    one_off boolean NOT NULL,
    start_time timestamp with time zone,
    priority integer,
    headers text NOT NULL,
    clocked_id integer,
    expire_seconds integer,
    CONSTRAINT django_celery_beat_periodictask_expire_seconds_check CHECK ((expire_seconds >= 0)),
    CONSTRAINT django_celery_beat_periodictask_priority_check CHECK ((priority >= 0)),
    CONSTRAINT django_celery_beat_periodictask_total_run_count_check CHECK ((total_run_count >= 0))
)
WITH (fillfactor='50');

ALTER TABLE public.django_celery_beat_periodictask ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_celery_beat_periodictask_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_celery_beat_periodictasks (
    ident smallint NOT NULL,
    last_update timestamp with time zone NOT NULL
);

CREATE TABLE public.django_celery_beat_solarschedule (
    id integer NOT NULL,
    event character varying(24) NOT NULL,
    latitude numeric(9,6) NOT NULL,
    longitude numeric(9,6) NOT NULL
);

ALTER TABLE public.django_celery_beat_solarschedule ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_celery_beat_solarschedule_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_content_type (
    id integer NOT NULL,
    app_label character varying(100) NOT NULL,
    model character varying(100) NOT NULL
);

ALTER TABLE public.django_content_type ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_content_type_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_migrations (
    id bigint NOT NULL,
    app character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    applied timestamp with time zone NOT NULL
);

ALTER TABLE public.django_migrations ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.django_migrations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.django_session (
    session_key character varying(40) NOT NULL,
    session_data text NOT NULL,
    expire_date timestamp with time zone NOT NULL
);

CREATE TABLE public.scheduler_api_agenda (
    periodic_task_id integer NOT NULL,
    slot_at timestamp with time zone,
    due_at timestamp with time zone,
    anchor_at timestamp with time zone,
    since_at timestamp with time zone,
    served_at timestamp with time zone,
    timing character varying(64) NOT NULL,
    stale boolean NOT NULL,
    stale_at timestamp with time zone,
    failures integer NOT NULL,
    last_error text NOT NULL,
    missed_count bigint NOT NULL,
    CONSTRAINT scheduler_api_agenda_failures_check CHECK ((failures >= 0)),
    CONSTRAINT scheduler_api_agenda_missed_count_check CHECK ((missed_count >= 0))
);

CREATE TABLE public.scheduler_api_apikey (
    id bigint NOT NULL,
    prefix character varying(8) NOT NULL,
    digest character varying(64) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    service_account_id bigint NOT NULL
);

ALTER TABLE public.scheduler_api_apikey ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_apikey_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_auditentry (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    account_name character varying(100) NOT NULL,
    key_prefix character varying(8) NOT NULL,
    request_id character varying(128) NOT NULL,
    operation character varying(100) NOT NULL,
    object_type character varying(50) NOT NULL,
    object_id bigint NOT NULL,
    object_name character varying(200) NOT NULL,
    before jsonb,
    after jsonb,
    service_account_id bigint
);

ALTER TABLE public.scheduler_api_auditentry ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_auditentry_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_beatheartbeat (
    id uuid NOT NULL,
    host character varying(255) NOT NULL,
    pid integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ticked_at timestamp with time zone NOT NULL,
    lag_seconds double precision NOT NULL,
    trouble text NOT NULL,
    CONSTRAINT scheduler_api_beatheartbeat_pid_check CHECK ((pid >= 0))
);

CREATE TABLE public.scheduler_api_delivery (
    id bigint NOT NULL,
    event_id character varying(40) NOT NULL,
    type character varying(32) NOT NULL,
    run_id uuid,
    payload text NOT NULL,
    state character varying(16) NOT NULL,
    attempts smallint NOT NULL,
    next_attempt_at timestamp with time zone,
    last_status smallint,
    last_error text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    delivered_at timestamp with time zone,
    webhook_id bigint NOT NULL,
    CONSTRAINT scheduler_api_delivery_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT scheduler_api_delivery_last_status_check CHECK ((last_status >= 0))
);

ALTER TABLE public.scheduler_api_delivery ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_delivery_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_failurestreak (
    periodic_task_id integer NOT NULL,
    failures integer NOT NULL,
    since_at timestamp with time zone NOT NULL,
    CONSTRAINT scheduler_api_failurestreak_failures_check CHECK ((failures >= 0))
);

CREATE TABLE public.scheduler_api_idempotentresponse (
    id bigint NOT NULL,
    key character varying(255) NOT NULL,
    fingerprint character varying(64) NOT NULL,
    status smallint NOT NULL,
    headers jsonb NOT NULL,
    body text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    service_account_id bigint NOT NULL,
    CONSTRAINT scheduler_api_idempotentresponse_status_check CHECK ((status >= 0))
);

ALTER TABLE public.scheduler_api_idempotentresponse ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_idempotentresponse_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_managedtask (
    periodic_task_id integer NOT NULL,
    managed_by character varying(16) NOT NULL,
    labels jsonb NOT NULL,
    revision bigint NOT NULL,
    owner_id bigint,
    enabled_on_resume boolean NOT NULL,
    pause_note character varying(500) NOT NULL,
    paused_at timestamp with time zone,
    paused_until timestamp with time zone,
    resumed_at timestamp with time zone,
    catchup_window_seconds integer NOT NULL,
    jitter_seconds integer NOT NULL,
    max_runtime_seconds integer NOT NULL,
    misfire character varying(16) NOT NULL,
    overlap character varying(16) NOT NULL,
    max_attempts smallint DEFAULT 1 NOT NULL,
    pause_after_failures integer DEFAULT 0 NOT NULL,
    retry_backoff_seconds integer DEFAULT 10 NOT NULL,
    CONSTRAINT scheduler_api_managedtask_catchup_window_seconds_check CHECK ((catchup_window_seconds >= 0)),
    CONSTRAINT scheduler_api_managedtask_jitter_seconds_check CHECK ((jitter_seconds >= 0)),
    CONSTRAINT scheduler_api_managedtask_max_attempts_check CHECK ((max_attempts >= 0)),
    CONSTRAINT scheduler_api_managedtask_max_runtime_seconds_check CHECK ((max_runtime_seconds >= 0)),
    CONSTRAINT scheduler_api_managedtask_pause_after_failures_check CHECK ((pause_after_failures >= 0)),
    CONSTRAINT scheduler_api_managedtask_retry_backoff_seconds_check CHECK ((retry_backoff_seconds >= 0)),
    CONSTRAINT scheduler_api_managedtask_revision_check CHECK ((revision >= 0))
);

CREATE TABLE public.scheduler_api_outbox (
    id bigint NOT NULL,
    run_ids jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    retry_at timestamp with time zone NOT NULL
);

ALTER TABLE public.scheduler_api_outbox ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_ratelimitwindow (
    subject character varying(100) NOT NULL,
    minute bigint NOT NULL,
    taken bigint NOT NULL,
    leased bigint NOT NULL
);

CREATE TABLE public.scheduler_api_repeat (
    run_id uuid NOT NULL,
    queue character varying(255) NOT NULL,
    count integer NOT NULL,
    again_at timestamp with time zone NOT NULL,
    CONSTRAINT scheduler_api_repeat_count_check CHECK ((count >= 0))
);

CREATE TABLE public.scheduler_api_run (
    id uuid NOT NULL,
    periodic_task_id integer NOT NULL,
    periodic_task_name character varying(200) NOT NULL,
    owner_id bigint,
    task character varying(200) NOT NULL,
    trigger character varying(16) NOT NULL,
    slot_at timestamp with time zone,
    due_at timestamp with time zone NOT NULL,
    slot_count integer NOT NULL,
    last_slot_at timestamp with time zone,
    state character varying(16) NOT NULL,
    ended_as character varying(16) GENERATED ALWAYS AS (
CASE
    WHEN ((state)::text = ANY ((ARRAY['pending'::character varying, 'queued'::character varying, 'running'::character varying])::text[])) THEN NULL::character varying
    ELSE state
END) STORED,
    reason text NOT NULL,
    is_held boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    queued_at timestamp with time zone,
    started_at timestamp with time zone,
    args text NOT NULL,
    kwargs text NOT NULL,
    options text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    error_message text DEFAULT ''::text NOT NULL,
    error_type character varying(200) DEFAULT ''::character varying NOT NULL,
    finished_at timestamp with time zone,
    is_result_truncated boolean DEFAULT false NOT NULL,
    is_to_end boolean DEFAULT false NOT NULL,
    lease_until timestamp with time zone,
    result text DEFAULT ''::text NOT NULL,
    traceback text DEFAULT ''::text NOT NULL,
    worker character varying(255) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT scheduler_api_run_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT scheduler_api_run_slot_count_check CHECK ((slot_count >= 0))
)
WITH (fillfactor='50');

CREATE TABLE public.scheduler_api_runevent (
    id bigint NOT NULL,
    kind character varying(32) NOT NULL,
    run_id uuid NOT NULL,
    periodic_task_id integer NOT NULL,
    owner_id bigint,
    at timestamp with time zone NOT NULL
);

ALTER TABLE public.scheduler_api_runevent ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_runevent_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_schedulerevision (
    id bigint NOT NULL,
    kind character varying(16) NOT NULL,
    schedule_id bigint NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT scheduler_api_schedulerevision_revision_check CHECK ((revision >= 0))
);

ALTER TABLE public.scheduler_api_schedulerevision ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_schedulerevision_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_serviceaccount (
    id bigint NOT NULL,
    name character varying(100) NOT NULL,
    scopes jsonb NOT NULL,
    task_patterns jsonb NOT NULL,
    queues jsonb NOT NULL,
    sees_unowned boolean NOT NULL,
    created_at timestamp with time zone NOT NULL,
    max_periodic_tasks integer,
    min_interval_seconds integer,
    requests_per_minute integer,
    CONSTRAINT scheduler_api_serviceaccount_max_periodic_tasks_check CHECK ((max_periodic_tasks >= 0)),
    CONSTRAINT scheduler_api_serviceaccount_min_interval_seconds_check CHECK ((min_interval_seconds >= 0)),
    CONSTRAINT scheduler_api_serviceaccount_requests_per_minute_check CHECK ((requests_per_minute >= 0))
);

ALTER TABLE public.scheduler_api_serviceaccount ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_serviceaccount_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_tasklist (
    id bigint NOT NULL,
    digest character varying(64) NOT NULL
);

ALTER TABLE public.scheduler_api_tasklist ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_tasklist_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_tasklist_specs (
    id bigint NOT NULL,
    tasklist_id bigint NOT NULL,
    taskspec_id bigint NOT NULL
);

ALTER TABLE public.scheduler_api_tasklist_specs ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_tasklist_specs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_taskspec (
    id bigint NOT NULL,
    name character varying(200) NOT NULL,
    doc text NOT NULL,
    schema text NOT NULL,
    is_recorded boolean NOT NULL,
    last_seen_at timestamp with time zone NOT NULL
);

ALTER TABLE public.scheduler_api_taskspec ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_taskspec_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_webhook (
    id bigint NOT NULL,
    name character varying(200) NOT NULL,
    url character varying(2000) NOT NULL,
    events jsonb NOT NULL,
    label character varying(1000) NOT NULL,
    enabled boolean NOT NULL,
    disabled_at timestamp with time zone,
    disabled_reason text NOT NULL,
    salt character varying(64) NOT NULL,
    key_id character varying(16) NOT NULL,
    previous_salt character varying(64) NOT NULL,
    previous_key_id character varying(16) NOT NULL,
    previous_until timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    owner_id bigint NOT NULL
);

ALTER TABLE public.scheduler_api_webhook ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_webhook_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.scheduler_api_worker (
    id bigint NOT NULL,
    name character varying(255) NOT NULL,
    session uuid NOT NULL,
    queues jsonb NOT NULL,
    version character varying(100) NOT NULL,
    celery_version character varying(100) NOT NULL,
    pid integer NOT NULL,
    concurrency integer NOT NULL,
    started_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    stopped_at timestamp with time zone,
    task_list_id bigint NOT NULL,
    CONSTRAINT scheduler_api_worker_concurrency_check CHECK ((concurrency >= 0)),
    CONSTRAINT scheduler_api_worker_pid_check CHECK ((pid >= 0))
);

ALTER TABLE public.scheduler_api_worker ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.scheduler_api_worker_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

INSERT INTO public.django_celery_beat_clockedschedule VALUES (1, '2026-12-01 08:00:00+00');

INSERT INTO public.django_celery_beat_crontabschedule VALUES (1, '0', '3', '*', '*', '*', 'Europe/Berlin');

INSERT INTO public.django_celery_beat_intervalschedule VALUES (1, 5, 'minutes');

INSERT INTO public.django_celery_beat_periodictask VALUES (1, 'every five minutes', 'billing.invoice', '[1]', '{"a": "b"}', 'billing', NULL, NULL, NULL, true, '2026-11-30 08:00:00+00', 7, '2026-11-30 08:39:13.801505+00', '', NULL, 1, NULL, false, NULL, NULL, '{}', NULL, NULL);
INSERT INTO public.django_celery_beat_periodictask VALUES (2, 'each night', 'billing.close', '[]', '{}', NULL, NULL, NULL, NULL, true, NULL, 0, '2026-11-30 08:39:13.920755+00', '', 1, NULL, NULL, false, NULL, NULL, '{}', NULL, NULL);
INSERT INTO public.django_celery_beat_periodictask VALUES (3, 'at sunset', 'billing.light', '[]', '{}', NULL, NULL, NULL, NULL, false, NULL, 0, '2026-11-30 08:39:14.016703+00', '', NULL, NULL, 1, false, NULL, NULL, '{}', NULL, NULL);
INSERT INTO public.django_celery_beat_periodictask VALUES (4, 'once', 'billing.once', '[]', '{}', NULL, NULL, NULL, NULL, true, NULL, 0, '2026-11-30 08:39:14.077342+00', '', NULL, NULL, NULL, true, NULL, NULL, '{}', 1, NULL);

INSERT INTO public.django_celery_beat_periodictasks VALUES (1, '2026-11-30 08:39:14.092412+00');

INSERT INTO public.django_celery_beat_solarschedule VALUES (1, 'sunset', 52.520000, 13.405000);

INSERT INTO public.django_migrations VALUES (1, 'contenttypes', '0001_initial', '2026-11-30 08:38:53.698678+00');
INSERT INTO public.django_migrations VALUES (2, 'auth', '0001_initial', '2026-11-30 08:38:54.265184+00');
INSERT INTO public.django_migrations VALUES (3, 'admin', '0001_initial', '2026-11-30 08:38:54.374242+00');
INSERT INTO public.django_migrations VALUES (4, 'admin', '0002_logentry_remove_auto_add', '2026-11-30 08:38:54.431673+00');
INSERT INTO public.django_migrations VALUES (5, 'admin', '0003_logentry_add_action_flag_choices', '2026-11-30 08:38:54.495931+00');
INSERT INTO public.django_migrations VALUES (6, 'contenttypes', '0002_remove_content_type_name', '2026-11-30 08:38:54.684481+00');
INSERT INTO public.django_migrations VALUES (7, 'auth', '0002_alter_permission_name_max_length', '2026-11-30 08:38:54.777214+00');
INSERT INTO public.django_migrations VALUES (8, 'auth', '0003_alter_user_email_max_length', '2026-11-30 08:38:54.841105+00');
INSERT INTO public.django_migrations VALUES (9, 'auth', '0004_alter_user_username_opts', '2026-11-30 08:38:54.897601+00');
INSERT INTO public.django_migrations VALUES (10, 'auth', '0005_alter_user_last_login_null', '2026-11-30 08:38:54.964734+00');
INSERT INTO public.django_migrations VALUES (11, 'auth', '0006_require_contenttypes_0002', '2026-11-30 08:38:54.984509+00');
INSERT INTO public.django_migrations VALUES (12, 'auth', '0007_alter_validators_add_error_messages', '2026-11-30 08:38:55.028637+00');
INSERT INTO public.django_migrations VALUES (13, 'auth', '0008_alter_user_username_max_length', '2026-11-30 08:38:55.113332+00');
INSERT INTO public.django_migrations VALUES (14, 'auth', '0009_alter_user_last_name_max_length', '2026-11-30 08:38:55.168393+00');
INSERT INTO public.django_migrations VALUES (15, 'auth', '0010_alter_group_name_max_length', '2026-11-30 08:38:55.25256+00');
INSERT INTO public.django_migrations VALUES (16, 'auth', '0011_update_proxy_permissions', '2026-11-30 08:38:55.306807+00');
INSERT INTO public.django_migrations VALUES (17, 'auth', '0012_alter_user_first_name_max_length', '2026-11-30 08:38:55.396973+00');
INSERT INTO public.django_migrations VALUES (18, 'django_celery_beat', '0001_initial', '2026-11-30 08:38:55.541197+00');
INSERT INTO public.django_migrations VALUES (19, 'django_celery_beat', '0002_auto_20161118_0346', '2026-11-30 08:38:55.599808+00');
INSERT INTO public.django_migrations VALUES (20, 'django_celery_beat', '0003_auto_20161209_0049', '2026-11-30 08:38:55.647073+00');
INSERT INTO public.django_migrations VALUES (21, 'django_celery_beat', '0004_auto_20170221_0000', '2026-11-30 08:38:55.662584+00');
INSERT INTO public.django_migrations VALUES (22, 'django_celery_beat', '0005_add_solarschedule_events_choices', '2026-11-30 08:38:55.67932+00');
INSERT INTO public.django_migrations VALUES (23, 'django_celery_beat', '0006_auto_20180322_0932', '2026-11-30 08:38:55.940532+00');
INSERT INTO public.django_migrations VALUES (24, 'django_celery_beat', '0007_auto_20180521_0826', '2026-11-30 08:38:56.114548+00');
INSERT INTO public.django_migrations VALUES (25, 'django_celery_beat', '0008_auto_20180914_1922', '2026-11-30 08:38:56.369472+00');
INSERT INTO public.django_migrations VALUES (26, 'django_celery_beat', '0006_auto_20180210_1226', '2026-11-30 08:38:56.499514+00');
INSERT INTO public.django_migrations VALUES (27, 'django_celery_beat', '0006_periodictask_priority', '2026-11-30 08:38:56.550333+00');
INSERT INTO public.django_migrations VALUES (28, 'django_celery_beat', '0009_periodictask_headers', '2026-11-30 08:38:56.625266+00');
INSERT INTO public.django_migrations VALUES (29, 'django_celery_beat', '0010_auto_20190429_0326', '2026-11-30 08:38:58.394955+00');
INSERT INTO public.django_migrations VALUES (30, 'django_celery_beat', '0011_auto_20190508_0153', '2026-11-30 08:38:58.504467+00');
INSERT INTO public.django_migrations VALUES (31, 'django_celery_beat', '0012_periodictask_expire_seconds', '2026-11-30 08:38:58.590211+00');
INSERT INTO public.django_migrations VALUES (32, 'django_celery_beat', '0013_auto_20200609_0727', '2026-11-30 08:38:58.657161+00');
INSERT INTO public.django_migrations VALUES (33, 'django_celery_beat', '0014_remove_clockedschedule_enabled', '2026-11-30 08:38:58.688367+00');
INSERT INTO public.django_migrations VALUES (34, 'django_celery_beat', '0015_edit_solarschedule_events_choices', '2026-11-30 08:38:58.710051+00');
INSERT INTO public.django_migrations VALUES (35, 'django_celery_beat', '0016_alter_crontabschedule_timezone', '2026-11-30 08:38:58.761287+00');
INSERT INTO public.django_migrations VALUES (36, 'django_celery_beat', '0017_alter_crontabschedule_month_of_year', '2026-11-30 08:38:58.809066+00');
INSERT INTO public.django_migrations VALUES (37, 'django_celery_beat', '0018_improve_crontab_helptext', '2026-11-30 08:38:58.843726+00');
INSERT INTO public.django_migrations VALUES (38, 'django_celery_beat', '0019_alter_periodictasks_options', '2026-11-30 08:38:58.853515+00');
INSERT INTO public.django_migrations VALUES (39, 'scheduler_api', '0001_accounts_and_managed_tasks', '2026-11-30 08:38:59.030004+00');
INSERT INTO public.django_migrations VALUES (40, 'scheduler_api', '0002_idempotency_revisions_audit', '2026-11-30 08:38:59.313169+00');
INSERT INTO public.django_migrations VALUES (41, 'scheduler_api', '0003_pauses', '2026-11-30 08:38:59.844693+00');
INSERT INTO public.django_migrations VALUES (42, 'scheduler_api', '0004_rate_limits_and_quotas', '2026-11-30 08:39:00.006947+00');
INSERT INTO public.django_migrations VALUES (43, 'scheduler_api', '0005_beat_engine', '2026-11-30 08:39:00.847456+00');
INSERT INTO public.django_migrations VALUES (44, 'scheduler_api', '0006_agenda_triggers', '2026-11-30 08:39:01.043606+00');
INSERT INTO public.django_migrations VALUES (45, 'scheduler_api', '0007_room_for_updates', '2026-11-30 08:39:01.281717+00');
INSERT INTO public.django_migrations VALUES (46, 'scheduler_api', '0008_run_outcomes', '2026-11-30 08:39:01.660403+00');
INSERT INTO public.django_migrations VALUES (47, 'scheduler_api', '0009_attempts_and_events', '2026-11-30 08:39:01.996402+00');
INSERT INTO public.django_migrations VALUES (48, 'scheduler_api', '0010_webhooks', '2026-11-30 08:39:02.312393+00');
INSERT INTO public.django_migrations VALUES (49, 'scheduler_api', '0011_workers_and_repeats', '2026-11-30 08:39:02.636628+00');
INSERT INTO public.django_migrations VALUES (50, 'sessions', '0001_initial', '2026-11-30 08:39:02.696393+00');

INSERT INTO public.scheduler_api_agenda VALUES (2, NULL, NULL, NULL, NULL, NULL, '', true, '2026-11-30 08:39:13.92293+00', 0, '', 0);
INSERT INTO public.scheduler_api_agenda VALUES (3, NULL, NULL, NULL, NULL, NULL, '', true, '2026-11-30 08:39:14.019525+00', 0, '', 0);
INSERT INTO public.scheduler_api_agenda VALUES (4, NULL, NULL, NULL, NULL, NULL, '', true, '2026-11-30 08:39:14.078385+00', 0, '', 0);
INSERT INTO public.scheduler_api_agenda VALUES (1, '2026-11-30 08:05:00+00', '2026-11-30 08:05:03+00', '2026-11-29 08:00:00+00', '2026-11-30 07:00:00+00', '2026-11-30 08:00:00+00', 'dddddddddddddddddddddddddddddddd', false, '2026-11-30 07:00:00+00', 2, 'A reason.', 11);

INSERT INTO public.scheduler_api_apikey VALUES (1, '0a1b2c3d', '0000000000000000000000000000000000000000000000000000000000000000', '2026-11-30 08:39:13.525224+00', '2027-02-28 08:00:00+00', '2026-11-30 08:00:00+00', NULL, 1);

INSERT INTO public.scheduler_api_auditentry VALUES (1, '2026-11-30 08:39:14.329005+00', 'billing', '0a1b2c3d', 'r-1', 'create', 'periodic_task', 1, 'every five minutes', NULL, '{"a": 1}', 1);

INSERT INTO public.scheduler_api_beatheartbeat VALUES ('00000000-0000-0000-0000-000000000009', 'beat-1', 17, '2026-11-30 08:00:00+00', '2026-11-30 08:00:00+00', 0.25, 'The broker does not answer.');

INSERT INTO public.scheduler_api_delivery VALUES (1, 'evt_1', 'run.failed', '00000000-0000-0000-0000-000000000005', '{}', 'pending', 1, '2026-11-30 08:00:00+00', 500, 'HTTP 500', '2026-11-30 08:00:00+00', NULL, 1);

INSERT INTO public.scheduler_api_failurestreak VALUES (1, 3, '2026-11-30 07:59:00+00');

INSERT INTO public.scheduler_api_idempotentresponse VALUES (1, 'k-1', 'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff', 201, '{"ETag": "\"1\""}', '{}', '2026-11-30 08:39:14.338838+00', 1);

INSERT INTO public.scheduler_api_managedtask VALUES (1, 'api', '{"team": "billing"}', 3, 1, true, '', NULL, NULL, NULL, 60, 5, 120, 'run_all', 'buffer_one', 3, 4, 7);
INSERT INTO public.scheduler_api_managedtask VALUES (3, 'manifest', '{}', 1, 1, true, 'Maintenance', '2026-11-30 08:00:00+00', '2026-12-02 08:00:00+00', '2026-11-21 08:00:00+00', 3600, 0, 3600, 'run_once', 'allow', 1, 0, 10);

INSERT INTO public.scheduler_api_outbox VALUES (1, '["00000000-0000-0000-0000-000000000006"]', '2026-11-30 08:00:00+00', '2026-11-30 08:00:15+00');

INSERT INTO public.scheduler_api_ratelimitwindow VALUES ('account 1', 29000000, 12, 3);

INSERT INTO public.scheduler_api_repeat VALUES ('00000000-0000-0000-0000-000000000006', 'billing', 2, '2026-11-30 08:01:00+00');

INSERT INTO public.scheduler_api_run VALUES ('00000000-0000-0000-0000-000000000001', 1, 'every five minutes', 1, 'billing.invoice', 'schedule', '2026-11-30 08:00:00+00', '2026-11-30 08:00:00+00', 1, NULL, 'succeeded', DEFAULT, '', false, '2026-11-30 08:00:00+00', '2026-11-30 08:00:00+00', '2026-11-30 08:00:00+00', '[1]', '{"a": "b"}', '{"queue": "billing"}', 1, '', '', '2026-11-30 08:00:01+00', false, false, NULL, '"done"', '', 'celery@one');
INSERT INTO public.scheduler_api_run VALUES ('00000000-0000-0000-0000-000000000002', 1, 'every five minutes', 1, 'billing.invoice', 'schedule', '2026-11-30 08:05:00+00', '2026-11-30 08:00:00+00', 1, NULL, 'running', DEFAULT, 'Cancelled by a caller.', false, '2026-11-30 08:00:00+00', NULL, '2026-11-30 08:00:00+00', '[]', '{}', '{}', 2, '', '', NULL, false, true, '2026-11-30 08:02:00+00', '', '', '');
INSERT INTO public.scheduler_api_run VALUES ('00000000-0000-0000-0000-000000000003', 1, 'every five minutes', 1, 'billing.invoice', 'schedule', '2026-11-30 08:10:00+00', '2026-11-30 08:00:00+00', 1, NULL, 'pending', DEFAULT, 'The run before it has not ended.', true, '2026-11-30 08:00:00+00', NULL, NULL, '[]', '{}', '{}', 0, '', '', NULL, false, false, NULL, '', '', '');
INSERT INTO public.scheduler_api_run VALUES ('00000000-0000-0000-0000-000000000004', 1, 'every five minutes', 1, 'billing.invoice', 'backfill', '2026-11-30 06:00:00+00', '2026-11-30 08:00:00+00', 13, '2026-11-30 07:00:00+00', 'missed', DEFAULT, '', false, '2026-11-30 08:00:00+00', NULL, NULL, '[]', '{}', '{}', 0, '', '', NULL, false, false, NULL, '', '', '');
INSERT INTO public.scheduler_api_run VALUES ('00000000-0000-0000-0000-000000000005', 1, 'every five minutes', 1, 'billing.invoice', 'manual', NULL, '2026-11-30 08:00:00+00', 1, NULL, 'failed', DEFAULT, '', false, '2026-11-30 08:00:00+00', NULL, NULL, '[]', '{}', '{}', 0, 'A message.', 'ValueError', '2026-11-30 08:00:00+00', true, false, NULL, '', 'A traceback.', '');
INSERT INTO public.scheduler_api_run VALUES ('00000000-0000-0000-0000-000000000006', 1, 'every five minutes', 1, 'billing.invoice', 'schedule', '2026-11-30 08:15:00+00', '2026-11-30 08:00:00+00', 1, NULL, 'queued', DEFAULT, '', false, '2026-11-30 08:00:00+00', '2026-11-30 08:00:00+00', NULL, '[]', '{}', '{}', 0, '', '', NULL, false, false, NULL, '', '', '');

INSERT INTO public.scheduler_api_runevent VALUES (1, 'run.failed', '00000000-0000-0000-0000-000000000005', 1, 1, '2026-11-30 08:00:00+00');

INSERT INTO public.scheduler_api_schedulerevision VALUES (1, 'interval', 1, 2);

INSERT INTO public.scheduler_api_serviceaccount VALUES (1, 'billing', '["runs:read"]', '["billing.*"]', '["billing"]', false, '2026-11-30 08:39:13.501466+00', 10, 60, 600);

INSERT INTO public.scheduler_api_tasklist VALUES (1, '1111111111111111111111111111111111111111111111111111111111111111');

INSERT INTO public.scheduler_api_tasklist_specs VALUES (1, 1, 1);

INSERT INTO public.scheduler_api_taskspec VALUES (1, 'billing.invoice', 'Send invoices.', '{"type": "object"}', true, '2026-11-30 08:00:00+00');

INSERT INTO public.scheduler_api_webhook VALUES (1, 'pager', 'https://example.org/hook', '["run.failed"]', 'team=billing', true, NULL, '', '2222222222222222222222222222222222222222222222222222222222222222', '3333333333333333', '', '', NULL, '2026-11-30 08:39:14.354369+00', 1);

INSERT INTO public.scheduler_api_worker VALUES (1, 'celery@one', '00000000-0000-0000-0000-00000000000a', '["billing"]', '1', '5.5', 18, 4, '2026-11-30 08:00:00+00', '2026-11-30 08:00:00+00', NULL, 1);

SELECT pg_catalog.setval('public.auth_group_id_seq', 1, false);

SELECT pg_catalog.setval('public.auth_group_permissions_id_seq', 1, false);

SELECT pg_catalog.setval('public.auth_permission_id_seq', 124, true);

SELECT pg_catalog.setval('public.auth_user_groups_id_seq', 1, false);

SELECT pg_catalog.setval('public.auth_user_id_seq', 1, false);

SELECT pg_catalog.setval('public.auth_user_user_permissions_id_seq', 1, false);

SELECT pg_catalog.setval('public.django_admin_log_id_seq', 1, false);

SELECT pg_catalog.setval('public.django_celery_beat_clockedschedule_id_seq', 1, true);

SELECT pg_catalog.setval('public.django_celery_beat_crontabschedule_id_seq', 1, true);

SELECT pg_catalog.setval('public.django_celery_beat_intervalschedule_id_seq', 1, true);

SELECT pg_catalog.setval('public.django_celery_beat_periodictask_id_seq', 4, true);

SELECT pg_catalog.setval('public.django_celery_beat_solarschedule_id_seq', 1, true);

SELECT pg_catalog.setval('public.django_content_type_id_seq', 31, true);

SELECT pg_catalog.setval('public.django_migrations_id_seq', 50, true);

SELECT pg_catalog.setval('public.scheduler_api_apikey_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_auditentry_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_delivery_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_idempotentresponse_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_outbox_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_runevent_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_schedulerevision_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_serviceaccount_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_tasklist_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_tasklist_specs_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_taskspec_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_webhook_id_seq', 1, true);

SELECT pg_catalog.setval('public.scheduler_api_worker_id_seq', 1, true);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_name_key UNIQUE (name);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_permission_id_0cd325b0_uniq UNIQUE (group_id, permission_id);

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_group
    ADD CONSTRAINT auth_group_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_codename_01ab375a_uniq UNIQUE (content_type_id, codename);

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_group_id_94350c0c_uniq UNIQUE (user_id, group_id);

ALTER TABLE ONLY public.auth_user
    ADD CONSTRAINT auth_user_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_permission_id_14a6b632_uniq UNIQUE (user_id, permission_id);

ALTER TABLE ONLY public.auth_user
    ADD CONSTRAINT auth_user_username_key UNIQUE (username);

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_celery_beat_clockedschedule
    ADD CONSTRAINT django_celery_beat_clockedschedule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_celery_beat_crontabschedule
    ADD CONSTRAINT django_celery_beat_crontabschedule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_celery_beat_intervalschedule
    ADD CONSTRAINT django_celery_beat_intervalschedule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_celery_beat_periodictask
    ADD CONSTRAINT django_celery_beat_periodictask_name_key UNIQUE (name);

ALTER TABLE ONLY public.django_celery_beat_periodictask
    ADD CONSTRAINT django_celery_beat_periodictask_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_celery_beat_periodictasks
    ADD CONSTRAINT django_celery_beat_periodictasks_pkey PRIMARY KEY (ident);

ALTER TABLE ONLY public.django_celery_beat_solarschedule
    ADD CONSTRAINT django_celery_beat_solar_event_latitude_longitude_ba64999a_uniq UNIQUE (event, latitude, longitude);

ALTER TABLE ONLY public.django_celery_beat_solarschedule
    ADD CONSTRAINT django_celery_beat_solarschedule_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_app_label_model_76bd3d3b_uniq UNIQUE (app_label, model);

ALTER TABLE ONLY public.django_content_type
    ADD CONSTRAINT django_content_type_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_migrations
    ADD CONSTRAINT django_migrations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.django_session
    ADD CONSTRAINT django_session_pkey PRIMARY KEY (session_key);

ALTER TABLE ONLY public.scheduler_api_idempotentresponse
    ADD CONSTRAINT one_answer_per_idempotency_key UNIQUE (service_account_id, key);

ALTER TABLE ONLY public.scheduler_api_schedulerevision
    ADD CONSTRAINT one_revision_per_schedule UNIQUE (kind, schedule_id);

ALTER TABLE ONLY public.scheduler_api_agenda
    ADD CONSTRAINT scheduler_api_agenda_pkey PRIMARY KEY (periodic_task_id);

ALTER TABLE ONLY public.scheduler_api_apikey
    ADD CONSTRAINT scheduler_api_apikey_digest_key UNIQUE (digest);

ALTER TABLE ONLY public.scheduler_api_apikey
    ADD CONSTRAINT scheduler_api_apikey_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_apikey
    ADD CONSTRAINT scheduler_api_apikey_prefix_key UNIQUE (prefix);

ALTER TABLE ONLY public.scheduler_api_auditentry
    ADD CONSTRAINT scheduler_api_auditentry_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_beatheartbeat
    ADD CONSTRAINT scheduler_api_beatheartbeat_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_delivery
    ADD CONSTRAINT scheduler_api_delivery_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_failurestreak
    ADD CONSTRAINT scheduler_api_failurestreak_pkey PRIMARY KEY (periodic_task_id);

ALTER TABLE ONLY public.scheduler_api_idempotentresponse
    ADD CONSTRAINT scheduler_api_idempotentresponse_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_managedtask
    ADD CONSTRAINT scheduler_api_managedtask_pkey PRIMARY KEY (periodic_task_id);

ALTER TABLE ONLY public.scheduler_api_outbox
    ADD CONSTRAINT scheduler_api_outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_ratelimitwindow
    ADD CONSTRAINT scheduler_api_ratelimitwindow_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.scheduler_api_repeat
    ADD CONSTRAINT scheduler_api_repeat_pkey PRIMARY KEY (run_id);

ALTER TABLE ONLY public.scheduler_api_run
    ADD CONSTRAINT scheduler_api_run_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_runevent
    ADD CONSTRAINT scheduler_api_runevent_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_schedulerevision
    ADD CONSTRAINT scheduler_api_schedulerevision_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_serviceaccount
    ADD CONSTRAINT scheduler_api_serviceaccount_name_key UNIQUE (name);

ALTER TABLE ONLY public.scheduler_api_serviceaccount
    ADD CONSTRAINT scheduler_api_serviceaccount_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_tasklist
    ADD CONSTRAINT scheduler_api_tasklist_digest_key UNIQUE (digest);

ALTER TABLE ONLY public.scheduler_api_tasklist
    ADD CONSTRAINT scheduler_api_tasklist_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_tasklist_specs
    ADD CONSTRAINT scheduler_api_tasklist_s_tasklist_id_taskspec_id_abd205f9_uniq UNIQUE (tasklist_id, taskspec_id);

ALTER TABLE ONLY public.scheduler_api_tasklist_specs
    ADD CONSTRAINT scheduler_api_tasklist_specs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_taskspec
    ADD CONSTRAINT scheduler_api_taskspec_name_key UNIQUE (name);

ALTER TABLE ONLY public.scheduler_api_taskspec
    ADD CONSTRAINT scheduler_api_taskspec_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_webhook
    ADD CONSTRAINT scheduler_api_webhook_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduler_api_worker
    ADD CONSTRAINT scheduler_api_worker_name_key UNIQUE (name);

ALTER TABLE ONLY public.scheduler_api_worker
    ADD CONSTRAINT scheduler_api_worker_pkey PRIMARY KEY (id);

CREATE INDEX agenda_due ON public.scheduler_api_agenda USING btree (due_at, periodic_task_id) WHERE (due_at IS NOT NULL);

CREATE INDEX agenda_stale ON public.scheduler_api_agenda USING btree (stale_at, periodic_task_id) WHERE stale;

CREATE INDEX auth_group_name_a6ea08ec_like ON public.auth_group USING btree (name varchar_pattern_ops);

CREATE INDEX auth_group_permissions_group_id_b120cbf9 ON public.auth_group_permissions USING btree (group_id);

CREATE INDEX auth_group_permissions_permission_id_84c5c92e ON public.auth_group_permissions USING btree (permission_id);

CREATE INDEX auth_permission_content_type_id_2f476e4b ON public.auth_permission USING btree (content_type_id);

CREATE INDEX auth_user_groups_group_id_97559544 ON public.auth_user_groups USING btree (group_id);

CREATE INDEX auth_user_groups_user_id_6a12ed8b ON public.auth_user_groups USING btree (user_id);

CREATE INDEX auth_user_user_permissions_permission_id_1fbb5f2c ON public.auth_user_user_permissions USING btree (permission_id);

CREATE INDEX auth_user_user_permissions_user_id_a95ead1b ON public.auth_user_user_permissions USING btree (user_id);

CREATE INDEX auth_user_username_6821ab7c_like ON public.auth_user USING btree (username varchar_pattern_ops);

CREATE INDEX deliveries_by_age ON public.scheduler_api_delivery USING btree (created_at);

CREATE INDEX deliveries_of_a_webhook ON public.scheduler_api_delivery USING btree (webhook_id, id DESC);

CREATE INDEX deliveries_that_stand_so ON public.scheduler_api_delivery USING btree (state, id DESC);

CREATE INDEX deliveries_to_be_sent ON public.scheduler_api_delivery USING btree (next_attempt_at) WHERE ((state)::text = 'pending'::text);

CREATE INDEX django_admin_log_content_type_id_c4bce8eb ON public.django_admin_log USING btree (content_type_id);

CREATE INDEX django_admin_log_user_id_c564eba6 ON public.django_admin_log USING btree (user_id);

CREATE INDEX django_celery_beat_periodictask_clocked_id_47a69f82 ON public.django_celery_beat_periodictask USING btree (clocked_id);

CREATE INDEX django_celery_beat_periodictask_crontab_id_d3cba168 ON public.django_celery_beat_periodictask USING btree (crontab_id);

CREATE INDEX django_celery_beat_periodictask_interval_id_a8ca27da ON public.django_celery_beat_periodictask USING btree (interval_id);

CREATE INDEX django_celery_beat_periodictask_name_265a36b7_like ON public.django_celery_beat_periodictask USING btree (name varchar_pattern_ops);

CREATE INDEX django_celery_beat_periodictask_solar_id_a87ce72c ON public.django_celery_beat_periodictask USING btree (solar_id);

CREATE INDEX django_session_expire_date_a5c62663 ON public.django_session USING btree (expire_date);

CREATE INDEX django_session_session_key_c0390e0f_like ON public.django_session USING btree (session_key varchar_pattern_ops);

CREATE INDEX pauses_that_end ON public.scheduler_api_managedtask USING btree (paused_until) WHERE (paused_until IS NOT NULL);

CREATE INDEX runs_by_time ON public.scheduler_api_run USING btree (created_at DESC, id DESC);

CREATE INDEX runs_of_a_task ON public.scheduler_api_run USING btree (periodic_task_id, created_at DESC, id DESC);

CREATE INDEX runs_of_an_owner ON public.scheduler_api_run USING btree (owner_id, created_at DESC, id DESC);

CREATE INDEX runs_that_are_held ON public.scheduler_api_run USING btree (periodic_task_id) WHERE is_held;

CREATE INDEX runs_that_ended_so ON public.scheduler_api_run USING btree (ended_as, created_at DESC, id DESC);

CREATE INDEX runs_with_a_lease ON public.scheduler_api_run USING btree (lease_until) WHERE (lease_until IS NOT NULL);

CREATE INDEX scheduler_a_object__61756f_idx ON public.scheduler_api_auditentry USING btree (object_type, object_id);

CREATE INDEX scheduler_api_apikey_digest_a08098c8_like ON public.scheduler_api_apikey USING btree (digest varchar_pattern_ops);

CREATE INDEX scheduler_api_apikey_prefix_828c51af_like ON public.scheduler_api_apikey USING btree (prefix varchar_pattern_ops);

CREATE INDEX scheduler_api_apikey_service_account_id_3cc9aca6 ON public.scheduler_api_apikey USING btree (service_account_id);

CREATE INDEX scheduler_api_auditentry_at_978219e2 ON public.scheduler_api_auditentry USING btree (at);

CREATE INDEX scheduler_api_auditentry_service_account_id_e6bbf3c4 ON public.scheduler_api_auditentry USING btree (service_account_id);

CREATE INDEX scheduler_api_delivery_webhook_id_317519ad ON public.scheduler_api_delivery USING btree (webhook_id);

CREATE INDEX scheduler_api_idempotentresponse_created_at_306e3b45 ON public.scheduler_api_idempotentresponse USING btree (created_at);

CREATE INDEX scheduler_api_idempotentresponse_service_account_id_79e2a8d1 ON public.scheduler_api_idempotentresponse USING btree (service_account_id);

CREATE INDEX scheduler_api_managedtask_owner_id_735bd927 ON public.scheduler_api_managedtask USING btree (owner_id);

CREATE INDEX scheduler_api_outbox_retry_at_160d4c55 ON public.scheduler_api_outbox USING btree (retry_at);

CREATE INDEX scheduler_api_ratelimitwindow_minute_f49e11ca ON public.scheduler_api_ratelimitwindow USING btree (minute);

CREATE INDEX scheduler_api_ratelimitwindow_subject_9bcf456f_like ON public.scheduler_api_ratelimitwindow USING btree (subject varchar_pattern_ops);

CREATE INDEX scheduler_api_serviceaccount_name_7aa5a734_like ON public.scheduler_api_serviceaccount USING btree (name varchar_pattern_ops);

CREATE INDEX scheduler_api_tasklist_digest_56bf70d1_like ON public.scheduler_api_tasklist USING btree (digest varchar_pattern_ops);

CREATE INDEX scheduler_api_tasklist_specs_tasklist_id_5266eec6 ON public.scheduler_api_tasklist_specs USING btree (tasklist_id);

CREATE INDEX scheduler_api_tasklist_specs_taskspec_id_eb4e4c76 ON public.scheduler_api_tasklist_specs USING btree (taskspec_id);

CREATE INDEX scheduler_api_taskspec_name_5624ae78_like ON public.scheduler_api_taskspec USING btree (name varchar_pattern_ops);

CREATE INDEX scheduler_api_webhook_owner_id_72006199 ON public.scheduler_api_webhook USING btree (owner_id);

CREATE INDEX scheduler_api_worker_name_14e9431e_like ON public.scheduler_api_worker USING btree (name varchar_pattern_ops);

CREATE INDEX scheduler_api_worker_task_list_id_0ed20302 ON public.scheduler_api_worker USING btree (task_list_id);

CREATE TRIGGER scheduler_api_clocked_updated AFTER UPDATE OF clocked_time ON public.django_celery_beat_clockedschedule FOR EACH ROW WHEN ((old.clocked_time IS DISTINCT FROM new.clocked_time)) EXECUTE FUNCTION public.scheduler_api_clocked_written();

CREATE TRIGGER scheduler_api_crontab_updated AFTER UPDATE OF minute, hour, day_of_month, month_of_year, day_of_week, timezone ON public.django_celery_beat_crontabschedule FOR EACH ROW WHEN ((((old.minute)::text IS DISTINCT FROM (new.minute)::text) OR ((old.hour)::text IS DISTINCT FROM (new.hour)::text) OR ((old.day_of_month)::text IS DISTINCT FROM (new.day_of_month)::text) OR ((old.month_of_year)::text IS DISTINCT FROM (new.month_of_year)::text) OR ((old.day_of_week)::text IS DISTINCT FROM (new.day_of_week)::text) OR ((old.timezone)::text IS DISTINCT FROM (new.timezone)::text))) EXECUTE FUNCTION public.scheduler_api_crontab_written();

CREATE TRIGGER scheduler_api_half_deleted AFTER DELETE ON public.scheduler_api_managedtask FOR EACH ROW WHEN ((old.jitter_seconds > 0)) EXECUTE FUNCTION public.scheduler_api_half_written();

CREATE TRIGGER scheduler_api_half_inserted AFTER INSERT ON public.scheduler_api_managedtask FOR EACH ROW WHEN ((new.jitter_seconds > 0)) EXECUTE FUNCTION public.scheduler_api_half_written();

CREATE TRIGGER scheduler_api_half_updated AFTER UPDATE OF jitter_seconds ON public.scheduler_api_managedtask FOR EACH ROW WHEN ((old.jitter_seconds IS DISTINCT FROM new.jitter_seconds)) EXECUTE FUNCTION public.scheduler_api_half_written();

CREATE TRIGGER scheduler_api_interval_updated AFTER UPDATE OF every, period ON public.django_celery_beat_intervalschedule FOR EACH ROW WHEN (((old.every IS DISTINCT FROM new.every) OR ((old.period)::text IS DISTINCT FROM (new.period)::text))) EXECUTE FUNCTION public.scheduler_api_interval_written();

CREATE TRIGGER scheduler_api_solar_updated AFTER UPDATE OF event, latitude, longitude ON public.django_celery_beat_solarschedule FOR EACH ROW WHEN ((((old.event)::text IS DISTINCT FROM (new.event)::text) OR (old.latitude IS DISTINCT FROM new.latitude) OR (old.longitude IS DISTINCT FROM new.longitude))) EXECUTE FUNCTION public.scheduler_api_solar_written();

CREATE TRIGGER scheduler_api_task_deleted AFTER DELETE ON public.django_celery_beat_periodictask FOR EACH ROW EXECUTE FUNCTION public.scheduler_api_task_deleted();

CREATE TRIGGER scheduler_api_task_inserted AFTER INSERT ON public.django_celery_beat_periodictask FOR EACH ROW EXECUTE FUNCTION public.scheduler_api_task_written();

CREATE TRIGGER scheduler_api_task_updated AFTER UPDATE OF name, task, interval_id, crontab_id, solar_id, clocked_id, args, kwargs, queue, exchange, routing_key, headers, priority, expires, expire_seconds, one_off, start_time, enabled ON public.django_celery_beat_periodictask FOR EACH ROW WHEN ((((old.name)::text IS DISTINCT FROM (new.name)::text) OR ((old.task)::text IS DISTINCT FROM (new.task)::text) OR (old.interval_id IS DISTINCT FROM new.interval_id) OR (old.crontab_id IS DISTINCT FROM new.crontab_id) OR (old.solar_id IS DISTINCT FROM new.solar_id) OR (old.clocked_id IS DISTINCT FROM new.clocked_id) OR (old.args IS DISTINCT FROM new.args) OR (old.kwargs IS DISTINCT FROM new.kwargs) OR ((old.queue)::text IS DISTINCT FROM (new.queue)::text) OR ((old.exchange)::text IS DISTINCT FROM (new.exchange)::text) OR ((old.routing_key)::text IS DISTINCT FROM (new.routing_key)::text) OR (old.headers IS DISTINCT FROM new.headers) OR (old.priority IS DISTINCT FROM new.priority) OR (old.expires IS DISTINCT FROM new.expires) OR (old.expire_seconds IS DISTINCT FROM new.expire_seconds) OR (old.one_off IS DISTINCT FROM new.one_off) OR (old.start_time IS DISTINCT FROM new.start_time) OR (old.enabled IS DISTINCT FROM new.enabled))) EXECUTE FUNCTION public.scheduler_api_task_written();

CREATE TRIGGER scheduler_api_tasks_truncated AFTER TRUNCATE ON public.django_celery_beat_periodictask FOR EACH STATEMENT EXECUTE FUNCTION public.scheduler_api_tasks_truncated();

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissio_permission_id_84c5c92e_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_group_permissions
    ADD CONSTRAINT auth_group_permissions_group_id_b120cbf9_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_permission
    ADD CONSTRAINT auth_permission_content_type_id_2f476e4b_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_group_id_97559544_fk_auth_group_id FOREIGN KEY (group_id) REFERENCES public.auth_group(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_groups
    ADD CONSTRAINT auth_user_groups_user_id_6a12ed8b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permi_permission_id_1fbb5f2c_fk_auth_perm FOREIGN KEY (permission_id) REFERENCES public.auth_permission(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.auth_user_user_permissions
    ADD CONSTRAINT auth_user_user_permissions_user_id_a95ead1b_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_content_type_id_c4bce8eb_fk_django_co FOREIGN KEY (content_type_id) REFERENCES public.django_content_type(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_admin_log
    ADD CONSTRAINT django_admin_log_user_id_c564eba6_fk_auth_user_id FOREIGN KEY (user_id) REFERENCES public.auth_user(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_celery_beat_periodictask
    ADD CONSTRAINT django_celery_beat_p_clocked_id_47a69f82_fk_django_ce FOREIGN KEY (clocked_id) REFERENCES public.django_celery_beat_clockedschedule(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_celery_beat_periodictask
    ADD CONSTRAINT django_celery_beat_p_crontab_id_d3cba168_fk_django_ce FOREIGN KEY (crontab_id) REFERENCES public.django_celery_beat_crontabschedule(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_celery_beat_periodictask
    ADD CONSTRAINT django_celery_beat_p_interval_id_a8ca27da_fk_django_ce FOREIGN KEY (interval_id) REFERENCES public.django_celery_beat_intervalschedule(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.django_celery_beat_periodictask
    ADD CONSTRAINT django_celery_beat_p_solar_id_a87ce72c_fk_django_ce FOREIGN KEY (solar_id) REFERENCES public.django_celery_beat_solarschedule(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_apikey
    ADD CONSTRAINT scheduler_api_apikey_service_account_id_3cc9aca6_fk_scheduler FOREIGN KEY (service_account_id) REFERENCES public.scheduler_api_serviceaccount(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_auditentry
    ADD CONSTRAINT scheduler_api_audite_service_account_id_e6bbf3c4_fk_scheduler FOREIGN KEY (service_account_id) REFERENCES public.scheduler_api_serviceaccount(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_delivery
    ADD CONSTRAINT scheduler_api_delive_webhook_id_317519ad_fk_scheduler FOREIGN KEY (webhook_id) REFERENCES public.scheduler_api_webhook(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_idempotentresponse
    ADD CONSTRAINT scheduler_api_idempo_service_account_id_79e2a8d1_fk_scheduler FOREIGN KEY (service_account_id) REFERENCES public.scheduler_api_serviceaccount(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_managedtask
    ADD CONSTRAINT scheduler_api_manage_owner_id_735bd927_fk_scheduler FOREIGN KEY (owner_id) REFERENCES public.scheduler_api_serviceaccount(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_managedtask
    ADD CONSTRAINT scheduler_api_manage_periodic_task_id_eb7f6b11_fk_django_ce FOREIGN KEY (periodic_task_id) REFERENCES public.django_celery_beat_periodictask(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_tasklist_specs
    ADD CONSTRAINT scheduler_api_taskli_tasklist_id_5266eec6_fk_scheduler FOREIGN KEY (tasklist_id) REFERENCES public.scheduler_api_tasklist(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_tasklist_specs
    ADD CONSTRAINT scheduler_api_taskli_taskspec_id_eb4e4c76_fk_scheduler FOREIGN KEY (taskspec_id) REFERENCES public.scheduler_api_taskspec(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_webhook
    ADD CONSTRAINT scheduler_api_webhoo_owner_id_72006199_fk_scheduler FOREIGN KEY (owner_id) REFERENCES public.scheduler_api_serviceaccount(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.scheduler_api_worker
    ADD CONSTRAINT scheduler_api_worker_task_list_id_0ed20302_fk_scheduler FOREIGN KEY (task_list_id) REFERENCES public.scheduler_api_tasklist(id) DEFERRABLE INITIALLY DEFERRED;
