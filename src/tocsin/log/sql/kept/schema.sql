-- What outlives its segment: the answers of the last 24 hours and the newest dead letters.

CREATE TABLE settled (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  through INTEGER NOT NULL, -- answers and dead letters of the segments up to this number are in here
  trimmed INTEGER NOT NULL  -- the files of the segments up to this number are to be deleted
) STRICT;

INSERT INTO settled (only, through, trimmed) VALUES (1, 0, 0);

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

CREATE INDEX answer_by_arrival ON answer (arrival_ms);

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

CREATE TABLE dropped (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  letters INTEGER NOT NULL -- dead letters that went for newer ones
) STRICT;

INSERT INTO dropped (only, letters) VALUES (1, 0);

CREATE TABLE answer_room (
  tenant TEXT PRIMARY KEY,
  bytes INTEGER NOT NULL -- what the tenant's answers in here weigh
) STRICT, WITHOUT ROWID;

CREATE TRIGGER answer_added AFTER INSERT ON answer BEGIN
  INSERT INTO answer_room (tenant, bytes) VALUES (NEW.tenant,
    octet_length(NEW.tenant) + octet_length(NEW.producer) + octet_length(NEW.sequence)
    + length(NEW.fingerprint) + length(NEW.offsets) + length(NEW.answer) + 128)
  ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER answer_removed AFTER DELETE ON answer BEGIN
  UPDATE answer_room SET bytes = bytes - (
    octet_length(OLD.tenant) + octet_length(OLD.producer) + octet_length(OLD.sequence)
    + length(OLD.fingerprint) + length(OLD.offsets) + length(OLD.answer) + 128)
  WHERE tenant = OLD.tenant;
END;

CREATE TRIGGER answer_replaced AFTER UPDATE ON answer BEGIN
  UPDATE answer_room SET bytes = bytes + (
    length(NEW.fingerprint) + length(NEW.offsets) + length(NEW.answer)
    - length(OLD.fingerprint) - length(OLD.offsets) - length(OLD.answer))
  WHERE tenant = NEW.tenant;
END;
