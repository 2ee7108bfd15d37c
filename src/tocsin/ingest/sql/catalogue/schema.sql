-- Devices, fields and series as they became known, a batch of them in each row; only ever added to.
CREATE TABLE entry (
    sequence INTEGER PRIMARY KEY,
    payload  BLOB NOT NULL,
    hash     BLOB NOT NULL CHECK (length(hash) = 16)
) STRICT;
