-- What a campaign is after: the candidate of the highest reward, or the front.
ALTER TABLE campaigns ADD COLUMN objective TEXT NOT NULL DEFAULT 'reward' CHECK (objective IN ('reward', 'front'));

-- Feasible candidates that no other of their campaign beats in accuracy, ticks, flash and RAM; of equal ones the earliest. Each
-- candidate is read once, however many it is compared with.
CREATE VIEW front AS
WITH measured AS MATERIALIZED (SELECT * FROM candidates WHERE feasible = 1 AND accuracy IS NOT NULL)
SELECT a.* FROM measured a WHERE NOT EXISTS (
  SELECT 1 FROM measured b
  WHERE b.campaign_id = a.campaign_id AND b.accuracy >= a.accuracy AND b.ticks <= a.ticks AND b.flash_bytes <= a.flash_bytes
    AND b.ram_bytes <= a.ram_bytes
    AND (b.accuracy > a.accuracy OR b.ticks < a.ticks OR b.flash_bytes < a.flash_bytes OR b.ram_bytes < a.ram_bytes
         OR b.idx < a.idx));
