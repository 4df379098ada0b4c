-- Who is at work in a repository or for an installation is counted at every claim, for every job that waits.
DROP INDEX job_at_work;
CREATE INDEX job_at_work ON job (repo, issue) WHERE outcome IS NULL AND lease_until IS NOT NULL;
CREATE INDEX job_of_installation ON job (installation) WHERE outcome IS NULL AND lease_until IS NOT NULL;
