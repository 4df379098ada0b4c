-- How a delivery's body is kept: 0 as it came, 1 compressed (Zstandard). What an earlier program wrote is as it came.
ALTER TABLE delivery ADD COLUMN encoding INTEGER NOT NULL DEFAULT 0;
