-- What outlives its segment: the answers of the last 24 hours and the newest dead letters.

CREATE TABLE settled (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  through INTEGER NOT NULL, -- answers and dead letters of the segments up to this number are in here
  trimmed INTEGER NOT NULL  -- the files of the segments up to this number are to be deleted
) STRICT;

INSERT INTO settled (only, through, trimmed) VALUES (1, 0, 0);

CREATE TABLE answer (
  tenant TEXT NOT NULL,
  producer TEXT NOT NULL,
  sequence TEXT NOT NULL,
  arrival_ms INTEGER NOT NULL,
  fingerprint BLOB NOT NULL,
  offsets BLOB NOT NULL, -- first offset of each part, int64 little-endian
  answer BLOB NOT NULL,
  hash BLOB NOT NULL, -- xxh3_128 over the rest of the row
  PRIMARY KEY (tenant, producer, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX answer_by_arrival ON answer (arrival_ms);

CREATE TABLE dead_letter (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  arrival_ms INTEGER NOT NULL,
  source TEXT NOT NULL,
  line INTEGER NOT NULL,
  code TEXT NOT NULL,
  field TEXT NOT NULL,
  detail TEXT NOT NULL,
  body BLOB NOT NULL,
  hash BLOB NOT NULL -- xxh3_128 over the rest of the row
) STRICT;

CREATE INDEX dead_letter_by_tenant ON dead_letter (tenant, id);

CREATE TABLE dropped (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  letters INTEGER NOT NULL -- dead letters that went for newer ones
) STRICT;

INSERT INTO dropped (only, letters) VALUES (1, 0);
