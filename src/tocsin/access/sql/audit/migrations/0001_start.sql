-- Rows are only added at the end and removed at the beginning; `chain` covers a row and all before it.
CREATE TABLE entry (
    sequence INTEGER PRIMARY KEY,
    tenant   TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    action   TEXT NOT NULL,
    object   TEXT NOT NULL,
    outcome  TEXT NOT NULL,
    address  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    chain    BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT;

CREATE INDEX entry_by_tenant ON entry (tenant, sequence);

CREATE TRIGGER entry_is_never_altered BEFORE UPDATE ON entry
BEGIN
    SELECT raise(ABORT, 'entries of the audit log are never altered');
END;

-- One row: the last entry that was removed, from which the chain goes on.
CREATE TABLE anchor (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    sequence INTEGER NOT NULL,
    chain    BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT;

INSERT INTO anchor (only, sequence, chain) VALUES (1, 0, zeroblob(32));
