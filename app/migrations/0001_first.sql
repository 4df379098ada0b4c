-- Times are milliseconds since 1970, UTC.
CREATE TABLE delivery (
    id           TEXT PRIMARY KEY,
    event        TEXT NOT NULL,
    body         BLOB NOT NULL,
    received_at  INTEGER NOT NULL,
    decide_after INTEGER NOT NULL,
    postponed    INTEGER NOT NULL DEFAULT 0,
    decision     TEXT
) STRICT;
CREATE INDEX delivery_undecided ON delivery (decide_after, received_at) WHERE decision IS NULL;

CREATE TABLE job (
    id          TEXT PRIMARY KEY,
    key         TEXT NOT NULL UNIQUE,
    repo        INTEGER NOT NULL,
    issue       INTEGER,
    spec        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    run_after   INTEGER NOT NULL,
    lease_until INTEGER,
    fence       INTEGER NOT NULL DEFAULT 0,
    handed_back INTEGER NOT NULL DEFAULT 1,
    outcome     TEXT
) STRICT;
CREATE INDEX job_open ON job (run_after, created_at) WHERE outcome IS NULL;
CREATE INDEX job_of_issue ON job (repo, issue) WHERE outcome IS NULL;

-- Only ever added to.
CREATE TABLE entry (
    job    TEXT NOT NULL REFERENCES job (id),
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact (
    digest TEXT PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;
