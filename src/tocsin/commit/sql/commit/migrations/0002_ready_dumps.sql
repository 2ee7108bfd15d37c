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
