-- Baseline, frozen: the same over 10,000 SKUs; 1.001 is the flattest that pgbench's Zipf can be.
\set number random(1, 9000000000000000)
\set sku random_zipfian(1, 10000, 1.001)
BEGIN;
UPDATE inventory SET reserved = reserved + 1 WHERE sku = :sku AND on_hand - reserved >= 1;
INSERT INTO reservation (order_id, sku, quantity, expires_at) VALUES ('tmall:' || :number, :sku, 1, now() + interval '30 minutes');
COMMIT;
