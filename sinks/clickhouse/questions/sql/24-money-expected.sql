-- On which days is how much income expected next?
SELECT next_expected_date, count() AS customers, sum(last_amount) AS income_rands
FROM income_streams
WHERE stream_status != 'ENDED' AND next_expected_date IS NOT NULL
GROUP BY next_expected_date
ORDER BY next_expected_date
LIMIT 7;
-- answer:
-- "2025-11-30",235,1852600
-- "2025-12-03",219,1722300
-- "2025-12-06",234,1827400
-- "2025-12-09",215,1655700
-- "2025-12-12",233,1793900
-- "2025-12-15",216,1654800
-- "2025-12-18",232,1754600
