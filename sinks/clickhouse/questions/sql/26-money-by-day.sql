-- What came in and what went back on each of the last days of November?
SELECT effective_date, sumIf(moved, moved > 0) AS collected_rands, sumIf(moved, moved < 0) AS returned_rands, count() AS movements
FROM movements
WHERE period_month = '2025-11' AND effective_date >= '2025-11-24'
GROUP BY effective_date
ORDER BY effective_date;
-- answer:
-- "2025-11-24",16160,0,77
-- "2025-11-25",1055,0,5
-- "2025-11-26",1720,0,9
-- "2025-11-27",1030,0,6
-- "2025-11-28",3655,0,18
