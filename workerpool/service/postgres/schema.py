"""The tables in the database, and the way from each version to the next one.

All of it is in a schema of its own, procrastinate's tables too: an application may have procrastinate for itself.
Texts that anybody may have sent are JSON: PostgreSQL's have no NUL. `job.key`, `result.seq`, `event.id` and
`delivery.key` are numbers of one sequence, in `meta`: whoever writes holds its row, so that numbers are seen in order.
"""

__all__ = ["GROUPS", "MIGRATIONS", "QUEUE", "SCHEMA", "VERSION"]

SCHEMA = "workerpool"
QUEUE = "workerpool"  # procrastinate's
GROUPS = 256  # of hosts; a request's is stored with it, so that another number needs a migration

_FIRST = """
    CREATE TABLE meta (name text PRIMARY KEY, value text);
    CREATE TABLE counter (number bigint NOT NULL);
    INSERT INTO counter VALUES (0);
    CREATE SEQUENCE fence;
    CREATE TABLE job (
        key bigint PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, state text NOT NULL, lane text NOT NULL,
        priority bigint NOT NULL, labels text NOT NULL, created double precision NOT NULL, started double precision,
        finished double precision, not_before double precision, expires double precision, total bigint NOT NULL,
        running bigint NOT NULL DEFAULT 0, succeeded bigint NOT NULL DEFAULT 0, failed bigint NOT NULL DEFAULT 0,
        cancelled bigint NOT NULL DEFAULT 0, expired bigint NOT NULL DEFAULT 0, webhook text,
        run bigint NOT NULL DEFAULT 1, attempts bigint, keep boolean NOT NULL, owner text NOT NULL, first text NOT NULL,
        held boolean NOT NULL DEFAULT false
    ) WITH (fillfactor = 70);
    CREATE INDEX job_state ON job (state, key);
    CREATE INDEX job_open ON job (owner) WHERE finished IS NULL;
    CREATE INDEX job_held ON job (not_before) WHERE held;
    CREATE INDEX job_expires ON job (expires) WHERE finished IS NULL AND expires IS NOT NULL;
    CREATE INDEX job_finished ON job (finished) WHERE finished IS NOT NULL;
    CREATE TABLE label (
        name text NOT NULL, value text NOT NULL, job bigint NOT NULL, PRIMARY KEY (name, value, job)
    );
    CREATE INDEX label_job ON label (job);
    CREATE TABLE request (
        job bigint NOT NULL, n bigint NOT NULL, url text NOT NULL, host text NOT NULL, grp smallint NOT NULL, ref text,
        spec text, PRIMARY KEY (job, n)
    );
    CREATE TABLE draft (job bigint PRIMARY KEY, owner text, mark text, touched timestamptz NOT NULL DEFAULT now());
    CREATE TABLE queue (
        key bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, job bigint NOT NULL, n bigint NOT NULL, lane text NOT NULL,
        priority bigint NOT NULL, host text NOT NULL, grp smallint NOT NULL, stage smallint NOT NULL,
        token bigint NOT NULL DEFAULT 0, worker bigint, until timestamptz, begun integer NOT NULL DEFAULT 0,
        attempts text
    ) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
    CREATE INDEX queue_waiting ON queue (lane, priority DESC, key) WHERE stage = 1;
    CREATE INDEX queue_leased ON queue (worker, grp) WHERE stage = 2;
    CREATE INDEX queue_running ON queue (lane, worker) WHERE stage = 2 AND begun > 0;
    CREATE INDEX queue_group ON queue (grp) WHERE stage > 0;
    CREATE INDEX queue_job ON queue (job);
    CREATE TABLE result (
        seq bigint PRIMARY KEY, job bigint NOT NULL, n bigint NOT NULL, ending text NOT NULL, status integer,
        final text, error text, headers text, elapsed double precision, attempts text, size bigint, sha256 text,
        media text, at double precision NOT NULL
    );
    CREATE UNIQUE INDEX result_n ON result (job, n);
    CREATE INDEX result_order ON result (job, seq);
    CREATE TABLE body (seq bigint PRIMARY KEY, data bytea NOT NULL);
    CREATE TABLE event (
        id bigint PRIMARY KEY, job bigint NOT NULL, kind text NOT NULL, at double precision NOT NULL, state text,
        run bigint
    );
    CREATE INDEX event_job ON event (job, id);
    CREATE TABLE idempotency (
        owner text, key text, fingerprint text NOT NULL, job text NOT NULL, at double precision NOT NULL,
        PRIMARY KEY (owner, key)
    );
    CREATE INDEX idempotency_at ON idempotency (at);
    CREATE TABLE lane (
        name text COLLATE "C" PRIMARY KEY, connections bigint NOT NULL, per_host bigint NOT NULL,
        rate double precision, per_host_rate double precision, paused boolean NOT NULL,
        due double precision NOT NULL DEFAULT 0
    );
    INSERT INTO lane VALUES ('default', 100, 8, NULL, NULL, false);
    CREATE TABLE host (
        name text PRIMARY KEY, grp smallint NOT NULL, until double precision NOT NULL, gap double precision NOT NULL
    );
    CREATE INDEX host_group ON host (grp);
    CREATE UNLOGGED TABLE waiting (owner text PRIMARY KEY, said jsonb NOT NULL, at timestamptz NOT NULL);
    CREATE TABLE token (
        id text PRIMARY KEY, sha256 text NOT NULL UNIQUE, role text NOT NULL, name text NOT NULL,
        created double precision NOT NULL, used double precision
    );
    CREATE TABLE delivery (
        key bigint PRIMARY KEY, id text NOT NULL UNIQUE, job bigint NOT NULL, run bigint NOT NULL, url text NOT NULL,
        host text NOT NULL, payload text NOT NULL, created double precision NOT NULL, due double precision,
        state text NOT NULL, tries text NOT NULL, failed bigint NOT NULL DEFAULT 0, noted double precision, owner text,
        until double precision
    );
    CREATE INDEX delivery_due ON delivery (due, host) WHERE due IS NOT NULL;
    CREATE INDEX delivery_gone ON delivery (url, noted) WHERE state = 'disabled';
    CREATE INDEX delivery_url ON delivery (url) WHERE due IS NOT NULL;
    CREATE INDEX delivery_job ON delivery (job);
"""
MIGRATIONS = (_FIRST,)  # what leads from version n to n + 1; append, and never change what was released
VERSION = len(MIGRATIONS)
