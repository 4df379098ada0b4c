-- When a job was completed, and an artifact kept for the last time, so that both can be forgotten. What an earlier program kept
-- counts as kept when the newest job began.
ALTER TABLE job ADD COLUMN ended_at INTEGER;
UPDATE job SET ended_at = (SELECT max(at) FROM entry WHERE entry.job = job.id) WHERE outcome IS NOT NULL;
CREATE INDEX job_ended ON job (ended_at) WHERE outcome IS NOT NULL;
CREATE INDEX job_created ON job (created_at);
ALTER TABLE artifact ADD COLUMN kept_at INTEGER NOT NULL DEFAULT 0;
UPDATE artifact SET kept_at = coalesce((SELECT max(at) FROM entry), 0);
CREATE INDEX artifact_kept ON artifact (kept_at);
CREATE INDEX delivery_decided ON delivery (received_at) WHERE decision IS NOT NULL;
