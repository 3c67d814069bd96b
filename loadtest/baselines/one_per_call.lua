#!lua
-- Baseline, frozen: the usual pattern, one reservation a call, each with its own Redis commands.
-- KEYS: on_hand hash, held hash, reservations hash, due zset, events stream
-- ARGV: id, sku, quantity, ttl_ms
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HGET', KEYS[3], ARGV[1])
if known then return { 1, known } end
local on_hand = tonumber(redis.call('HGET', KEYS[1], ARGV[2]) or 0)
local held = tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or 0)
local quantity = tonumber(ARGV[3])
if on_hand - held < quantity then return { 2, on_hand - held } end
local deadline = string.format('%d', now + ARGV[4])
redis.call('HINCRBY', KEYS[2], ARGV[2], quantity)
redis.call('HSET', KEYS[3], ARGV[1], 'H' .. deadline .. ' ' .. ARGV[3] .. ' ' .. ARGV[2])
redis.call('ZADD', KEYS[4], deadline, ARGV[1])
redis.call('XADD', KEYS[5], '*', 'held', ARGV[1], 'sku', ARGV[2], 'quantity', ARGV[3],
  'balance', string.format('%d', held + quantity))
return { 0, deadline }
