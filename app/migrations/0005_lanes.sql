-- The installation of a job's repository, and for how many milliseconds the job lets others go first. Jobs that wait already were
-- asked for by people.
ALTER TABLE job ADD COLUMN installation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN gives_way INTEGER NOT NULL DEFAULT 0;
UPDATE job SET installation = coalesce(json_extract(spec, '$.repo.installation'), 0) WHERE outcome IS NULL;
DROP INDEX job_open;
CREATE INDEX job_open ON job (run_after + gives_way, created_at) WHERE outcome IS NULL;
CREATE INDEX job_at_work ON job (installation, repo) WHERE outcome IS NULL AND lease_until IS NOT NULL;
