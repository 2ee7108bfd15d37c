-- Positions, episodes and the outbox of the embedded commit store.

CREATE TABLE partition (
  partition INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL,
  position INTEGER NOT NULL,
  totals BLOB NOT NULL, -- commit.abstract.Totals as JSON
  hash BLOB NOT NULL    -- xxh3_128 over the rest of the row
) STRICT;

-- Every state and revision of every episode, as committed; rows are added, never changed. The sequence is
-- that of the outbox: AUTOINCREMENT, so that none is ever given twice.
CREATE TABLE episode (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  payload BLOB NOT NULL, -- model.Episode without evidence, as MessagePack
  hash BLOB NOT NULL,    -- xxh3_128 over the columns before it
  evidence BLOB,         -- model.Evidence as MessagePack, last so that lists do not read it
  evidence_hash BLOB     -- xxh3_128 over tenant, id, revision and evidence
) STRICT;

CREATE INDEX episode_by_id ON episode (tenant, id, sequence);

-- Where the newest revision of each episode is, and what lists select by.
CREATE TABLE newest (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  sequence INTEGER NOT NULL REFERENCES episode (sequence),
  revision INTEGER NOT NULL,
  device TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  end_ms INTEGER, -- null while it lasts
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX newest_by_device ON newest (tenant, device, id);

CREATE TABLE outbox (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  pruned_through INTEGER NOT NULL -- the inbox holds everything up to this sequence
) STRICT;

INSERT INTO outbox (only, pruned_through) VALUES (1, 0);

-- Dumps that their order has set free for detectors, until every detector has had them. The number is the
-- order in which they became ready: AUTOINCREMENT, so that none is ever given twice.
CREATE TABLE ready_dumps (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  partition INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  kind TEXT NOT NULL, -- commit.abstract.DumpKind
  dump BLOB NOT NULL, -- control.DumpReceived as MessagePack
  hash BLOB NOT NULL  -- xxh3_128 over the columns before it, without the number
) STRICT;

CREATE INDEX ready_dumps_by_partition ON ready_dumps (partition);

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

-- What detectors knew after some of the dumps: corrections go on from the last one before a late dump.
CREATE TABLE step_snapshots (
  number INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  device TEXT NOT NULL,
  detector TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  snapshot BLOB NOT NULL, -- commit.dump_steps.StepSnapshot as MessagePack
  hash BLOB NOT NULL,     -- xxh3_128 over the columns before it, without the number
  UNIQUE (tenant, device, detector, epoch, sequence)
) STRICT;
