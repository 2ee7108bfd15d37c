-- Dead letters that were sent again and accepted.
CREATE TABLE replay (
    tenant      TEXT NOT NULL,
    letter      INTEGER NOT NULL,
    replayed_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, letter)
) STRICT, WITHOUT ROWID;
