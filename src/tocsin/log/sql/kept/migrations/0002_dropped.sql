CREATE TABLE dropped (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  letters INTEGER NOT NULL -- dead letters that went for newer ones
) STRICT;

INSERT INTO dropped (only, letters) VALUES (1, 0);
