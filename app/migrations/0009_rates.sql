-- What a repository's users have asked for within the hour is counted at every request. A reply has a place, and no issue.
ALTER TABLE job ADD COLUMN place INTEGER;
ALTER TABLE job ADD COLUMN requested_by INTEGER NOT NULL DEFAULT 0;
CREATE INDEX job_of_repository ON job (repo, created_at) WHERE issue IS NOT NULL;
CREATE INDEX reply_of_repository ON job (repo, created_at) WHERE issue IS NULL;
