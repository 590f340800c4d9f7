-- What is owed, and for how long?
SELECT tenant_id, ageing, count() AS collections, sum(shortfall) AS owed_rands
FROM arrears
GROUP BY tenant_id, ageing
ORDER BY tenant_id, ageing;
-- answer:
-- "acme","0",156,30055
-- "acme","1-30",195,38615
-- "acme","61-90",165,30960
-- "acme","91+",562,108090
-- "beta","0",43,8825
-- "beta","1-30",51,10485
-- "beta","61-90",69,14635
-- "beta","91+",169,34795
