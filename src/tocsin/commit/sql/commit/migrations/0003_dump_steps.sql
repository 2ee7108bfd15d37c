-- Who has ready dumps, device by device in the order of their numbers.
CREATE INDEX ready_dumps_by_device ON ready_dumps (tenant, device, number);

-- Dumps that were ready once and are not any more: what corrections and replays run again.
CREATE TABLE dealt_dumps (
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  dump BLOB NOT NULL, -- control.DumpReceived as MessagePack
  hash BLOB NOT NULL, -- xxh3_128 over the columns before it
  PRIMARY KEY (tenant, device, epoch, sequence)
) STRICT, WITHOUT ROWID;

-- Where each detector stands with each device.
CREATE TABLE dump_steps (
  number INTEGER PRIMARY KEY, -- states may be large, so the rows are not kept in the order of the key
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  detector TEXT NOT NULL,
  revision INTEGER NOT NULL,   -- of the last commit
  digest TEXT NOT NULL,        -- sum of the hashes of all judged dumps
  facts BLOB NOT NULL,         -- commit.dump_steps.Standing without state, as MessagePack
  state_sha256 TEXT NOT NULL,  -- empty where there is no state
  hash BLOB NOT NULL,          -- xxh3_128 over the columns before it, without the number
  state BLOB,                  -- what the detector saved, last so that digests do not read it
  UNIQUE (tenant, device, detector)
) STRICT;

-- What each detector found in each dump; rows are added, never changed.
CREATE TABLE findings (
  number INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  detector TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  judged BLOB NOT NULL, -- commit.dump_steps.JudgedDump as MessagePack
  hash BLOB NOT NULL,   -- xxh3_128 over the columns before it, without the number
  UNIQUE (tenant, device, detector, epoch, sequence, revision)
) STRICT;
