-- What share of the premiums of each product was collected, month by month?
SELECT product_code, period_month, round(100 * sum(collected) / sum(due), 1) AS percent
FROM collections
WHERE collection_status != 'CANCELLED'
GROUP BY product_code, period_month
ORDER BY product_code, period_month;
-- answer:
-- "FUNERAL_01","2025-06",89.7
-- "FUNERAL_01","2025-07",87.1
-- "FUNERAL_01","2025-08",89.5
-- "FUNERAL_01","2025-09",90.1
-- "FUNERAL_01","2025-10",88.3
-- "FUNERAL_01","2025-11",89.2
-- "FUNERAL_02","2025-06",88.2
-- "FUNERAL_02","2025-07",84.7
-- "FUNERAL_02","2025-08",88.3
-- "FUNERAL_02","2025-09",86.2
-- "FUNERAL_02","2025-10",86.3
-- "FUNERAL_02","2025-11",90.8
-- "LIFE_01","2025-06",88.3
-- "LIFE_01","2025-07",86.3
-- "LIFE_01","2025-08",88.1
-- "LIFE_01","2025-09",88.9
-- "LIFE_01","2025-10",87.6
-- "LIFE_01","2025-11",90.1
