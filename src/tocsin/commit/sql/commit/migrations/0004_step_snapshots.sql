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
