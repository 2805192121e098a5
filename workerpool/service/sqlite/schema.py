"""The tables of the file, and the way from each version to the next one.

`request` is written once and never changed. `queue` holds what has no result yet, small and hot: its key is the job's
with the request's number in the lowest 20 bits, its stage 0 before the job is due, 1 while it waits, 2 once it is sent.
`result` and `event` share one sequence, so that a result is an event by itself.
"""

__all__ = ["MARK", "MIGRATIONS", "VERSION"]

MARK = 0x77706A73  # SQLite's application_id: a file of the service's, and no other database

_FIRST = """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
    INSERT INTO meta VALUES ('sequence', '0');
    CREATE TABLE job (
        key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, lane TEXT NOT NULL,
        priority INTEGER NOT NULL, labels TEXT NOT NULL, created REAL NOT NULL, started REAL, finished REAL,
        not_before REAL, expires REAL, total INTEGER NOT NULL, running INTEGER NOT NULL DEFAULT 0,
        succeeded INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0,
        expired INTEGER NOT NULL DEFAULT 0, webhook TEXT, run INTEGER NOT NULL DEFAULT 1, attempts INTEGER,
        keep INTEGER NOT NULL, owner TEXT NOT NULL, first TEXT NOT NULL, held INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX job_state ON job (state);
    CREATE INDEX job_open ON job (owner) WHERE finished IS NULL;
    CREATE INDEX job_held ON job (not_before) WHERE held = 1;
    CREATE INDEX job_expires ON job (expires) WHERE finished IS NULL AND expires IS NOT NULL;
    CREATE INDEX job_finished ON job (finished) WHERE finished IS NOT NULL;
    CREATE TABLE label (name TEXT, value TEXT, job INTEGER, PRIMARY KEY (name, value, job)) WITHOUT ROWID;
    CREATE INDEX label_job ON label (job);
    CREATE TABLE request (
        job INTEGER, n INTEGER, url TEXT NOT NULL, host TEXT NOT NULL, ref TEXT, spec TEXT, PRIMARY KEY (job, n)
    ) WITHOUT ROWID;
    CREATE TABLE draft (job INTEGER PRIMARY KEY);
    CREATE TABLE queue (
        key INTEGER PRIMARY KEY, lane TEXT NOT NULL, priority INTEGER NOT NULL, host TEXT NOT NULL,
        stage INTEGER NOT NULL, attempts TEXT
    );
    CREATE INDEX queue_waiting ON queue (lane, priority DESC, key, host) WHERE stage = 1;
    CREATE TABLE result (
        seq INTEGER PRIMARY KEY, job INTEGER NOT NULL, n INTEGER NOT NULL, ending TEXT NOT NULL, status INTEGER,
        final TEXT, error TEXT, headers TEXT, elapsed REAL, attempts TEXT, size INTEGER, sha256 TEXT, media TEXT,
        at REAL NOT NULL
    );
    CREATE UNIQUE INDEX result_n ON result (job, n);
    CREATE INDEX result_order ON result (job, seq);
    CREATE TABLE body (seq INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE event (
        id INTEGER PRIMARY KEY, job INTEGER NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL, state TEXT, run INTEGER
    );
    CREATE INDEX event_job ON event (job);
    CREATE TABLE idempotency (
        owner TEXT, key TEXT, fingerprint TEXT NOT NULL, job TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (owner, key)
    ) WITHOUT ROWID;
    CREATE INDEX idempotency_at ON idempotency (at);
    CREATE TABLE lane (
        name TEXT PRIMARY KEY, connections INTEGER, per_host INTEGER, rate REAL, per_host_rate REAL, paused INTEGER
    ) WITHOUT ROWID;
    INSERT INTO lane VALUES ('default', 100, 8, NULL, NULL, 0);
    CREATE TABLE token (
        id TEXT PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, role TEXT NOT NULL, name TEXT NOT NULL, created REAL NOT NULL,
        used REAL
    ) WITHOUT ROWID;
    CREATE TABLE delivery (
        key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, job INTEGER NOT NULL, run INTEGER NOT NULL,
        url TEXT NOT NULL, host TEXT NOT NULL, payload TEXT NOT NULL, created REAL NOT NULL, due REAL,
        state TEXT NOT NULL, tries TEXT NOT NULL, failed INTEGER NOT NULL DEFAULT 0, noted REAL, owner TEXT, until REAL
    );
    CREATE INDEX delivery_due ON delivery (due, host) WHERE due IS NOT NULL;
    CREATE INDEX delivery_gone ON delivery (url, noted) WHERE state = 'disabled';
    CREATE INDEX delivery_url ON delivery (url) WHERE due IS NOT NULL;
    CREATE INDEX delivery_job ON delivery (job);
"""
MIGRATIONS = (_FIRST,)  # what leads from version n to n + 1; append, and never change what was released
VERSION = len(MIGRATIONS)
