CREATE TABLE answer_room (
  tenant TEXT PRIMARY KEY,
  bytes INTEGER NOT NULL -- what the tenant's answers in here weigh
) STRICT, WITHOUT ROWID;

INSERT INTO answer_room (tenant, bytes)
SELECT tenant, sum(octet_length(tenant) + octet_length(producer) + octet_length(sequence)
  + length(fingerprint) + length(offsets) + length(answer) + 128)
FROM answer GROUP BY tenant;

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
