-- Scores on their way to the lake, as Arrow; sequences are never used twice.
CREATE TABLE scored (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant   TEXT NOT NULL,
    payload  BLOB NOT NULL,
    hash     BLOB NOT NULL -- of tenant and payload
) STRICT;
