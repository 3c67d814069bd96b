-- Baseline, frozen: conditional UPDATE and INSERT in one transaction, one hot SKU.
\set number random(1, 9000000000000000)
BEGIN;
UPDATE inventory SET reserved = reserved + 1 WHERE sku = 1 AND on_hand - reserved >= 1;
INSERT INTO reservation (order_id, sku, quantity, expires_at) VALUES ('tmall:' || :number, 1, 1, now() + interval '30 minutes');
COMMIT;
