-- Baseline, frozen: stock and reservations as tables, built anew before each run.
DROP TABLE IF EXISTS inventory, reservation;
CREATE TABLE inventory (
  sku integer PRIMARY KEY,
  on_hand bigint NOT NULL,
  reserved bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50); -- room for the new version of a row on its own page
CREATE TABLE reservation (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id text NOT NULL UNIQUE,
  sku integer NOT NULL,
  quantity integer NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX ON reservation (expires_at);
INSERT INTO inventory (sku, on_hand) SELECT number, 1000000000 FROM generate_series(1, 10000) number;
VACUUM ANALYZE inventory;
