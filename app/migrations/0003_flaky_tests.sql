-- Tests that were seen to end differently on the same commit, and when that was seen last, in milliseconds since 1970.
CREATE TABLE flaky_test (
    repo    INTEGER NOT NULL,
    test    TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (repo, test)
) STRICT, WITHOUT ROWID;
