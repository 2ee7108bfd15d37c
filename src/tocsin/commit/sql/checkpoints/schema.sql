-- The state of each shard as of its last checkpoint.

CREATE TABLE chunk (
  shard INTEGER PRIMARY KEY,
  position INTEGER NOT NULL,
  hash BLOB NOT NULL, -- xxh3_128 over shard, position and payload
  payload BLOB NOT NULL
) STRICT;
