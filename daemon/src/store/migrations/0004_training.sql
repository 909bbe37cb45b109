-- The training of a candidate that its agent has not proposed yet: what it goes on from after a crash. One per campaign; gone as
-- soon as the episode is there. The daemon does not look inside.
CREATE TABLE trainings (
  campaign INTEGER PRIMARY KEY REFERENCES campaigns (id),
  episode  INTEGER NOT NULL,            -- the index that it will have
  sha256   TEXT NOT NULL,
  saved_at TEXT NOT NULL,
  content  BLOB NOT NULL
) STRICT;
