-- One segment of the log: all partitions' records between two sets of offsets.

CREATE TABLE segment (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  number INTEGER NOT NULL,
  begins BLOB NOT NULL,               -- first offset of each partition, int64 little-endian
  first_dead_letter INTEGER NOT NULL, -- id the first dead letter in here gets
  created_ms INTEGER NOT NULL,
  hash BLOB NOT NULL -- xxh3_128 over the rest of the row but `only`
) STRICT;

CREATE TABLE record (
  number INTEGER PRIMARY KEY, -- order of appending, so that pages fill from left to right
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  count INTEGER NOT NULL CHECK (count > 0),
  kind INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  arrival_ms INTEGER NOT NULL,
  hash BLOB NOT NULL, -- xxh3_128 over all of the above but number, and the payload
  payload BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX record_by_offset ON record (partition, offset);

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
