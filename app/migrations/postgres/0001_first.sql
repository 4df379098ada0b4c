-- Times are milliseconds since 1970, UTC, and always the program's: the database's own clock decides nothing.
-- Keys are compared byte by byte: the order of a language may change with the machine's libraries, and then a unique index
-- lets in what it has.
CREATE TABLE delivery (
    id           TEXT COLLATE "C" PRIMARY KEY,
    number       BIGINT GENERATED ALWAYS AS IDENTITY,
    event        TEXT NOT NULL,
    -- How the body is kept: 0 as it came, 1 compressed (Zstandard).
    encoding     BIGINT NOT NULL DEFAULT 0,
    body         BYTEA NOT NULL,
    received_at  BIGINT NOT NULL,
    decide_after BIGINT NOT NULL,
    postponed    BIGINT NOT NULL DEFAULT 0,
    decision     TEXT
);
-- The program has compressed it already; what the server adds to that costs more than the rest of a delivery.
ALTER TABLE delivery ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX delivery_undecided ON delivery (received_at, number) WHERE decision IS NULL;
CREATE INDEX delivery_decided ON delivery (received_at) WHERE decision IS NOT NULL;

CREATE TABLE job (
    id           TEXT COLLATE "C" PRIMARY KEY,
    number       BIGINT GENERATED ALWAYS AS IDENTITY,
    key          TEXT COLLATE "C" NOT NULL UNIQUE,
    repo         BIGINT NOT NULL,
    installation BIGINT NOT NULL,
    issue        BIGINT,
    spec         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    run_after    BIGINT NOT NULL,
    gives_way    BIGINT NOT NULL,
    lease_until  BIGINT,
    fence        BIGINT NOT NULL DEFAULT 0,
    handed_back  BOOLEAN NOT NULL DEFAULT TRUE,
    outcome      TEXT,
    ended_at     BIGINT
);
CREATE INDEX job_created ON job (created_at);
CREATE INDEX job_ended ON job (ended_at) WHERE outcome IS NOT NULL;
-- In the order in which they are taken; `gives_way` is for how many milliseconds a job lets others go first.
CREATE INDEX job_open ON job ((run_after + gives_way), created_at, number) WHERE outcome IS NULL;
CREATE INDEX job_of_issue ON job (repo, issue) WHERE outcome IS NULL;
CREATE INDEX job_of_installation ON job (installation) WHERE outcome IS NULL AND lease_until IS NOT NULL;
-- Jobs of one issue have one worker among them, whoever else looks at the same moment.
CREATE UNIQUE INDEX job_at_work ON job (repo, issue) WHERE outcome IS NULL AND lease_until IS NOT NULL;

-- Only ever added to.
CREATE TABLE entry (
    job    TEXT COLLATE "C" NOT NULL REFERENCES job (id),
    seq    BIGINT NOT NULL,
    at     BIGINT NOT NULL,
    kind   TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (job, seq)
);

CREATE TABLE artifact (
    digest  TEXT COLLATE "C" PRIMARY KEY,
    bytes   BYTEA NOT NULL,
    -- When it was kept for the last time: jobs that are older do not need it.
    kept_at BIGINT NOT NULL
);
CREATE INDEX artifact_kept ON artifact (kept_at);

-- What jobs have used of the limits that they share: a row for each claim of a job and UTC day. The reservation is what a
-- request under way may use at most; where there is none, both of its columns are null.
CREATE TABLE spending (
    job                    TEXT COLLATE "C" NOT NULL REFERENCES job (id),
    fence                  BIGINT NOT NULL,
    day                    TEXT COLLATE "C" NOT NULL,
    repo                   BIGINT NOT NULL,
    requested_by           BIGINT NOT NULL,
    tokens                 BIGINT NOT NULL DEFAULT 0,
    cost_microusd          BIGINT NOT NULL DEFAULT 0,
    reserved_tokens        BIGINT,
    reserved_cost_microusd BIGINT,
    PRIMARY KEY (job, fence, day)
);
CREATE INDEX spending_of_day ON spending (day);

-- Tests that were seen to end differently on the same commit, and when that was seen last. A repository names its tests as it
-- likes: with bytes that are no text here, and longer than an index takes. So the key is the name's digest.
CREATE TABLE flaky_test (
    repo    BIGINT NOT NULL,
    digest  TEXT COLLATE "C" NOT NULL,
    test    BYTEA NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (repo, digest)
);
