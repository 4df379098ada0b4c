-- What jobs have used of the limits that they share: a row for each claim of a job and UTC day. The reservation is what a
-- request under way may use at most; where there is none, both of its columns are null.
CREATE TABLE spending (
    job                    TEXT NOT NULL REFERENCES job (id),
    fence                  INTEGER NOT NULL,
    day                    TEXT NOT NULL,
    repo                   INTEGER NOT NULL,
    user                   INTEGER NOT NULL,
    tokens                 INTEGER NOT NULL DEFAULT 0,
    cost_microusd          INTEGER NOT NULL DEFAULT 0,
    reserved_tokens        INTEGER,
    reserved_cost_microusd INTEGER,
    PRIMARY KEY (job, fence, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX spending_of_day ON spending (day);
