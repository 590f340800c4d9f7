-- How did each month end: collections, due and collected by status?
SELECT period_month, collection_status, count() AS collections, sum(due) AS due_rands, sum(collected) AS collected_rands
FROM collections
GROUP BY period_month, collection_status
ORDER BY period_month, collection_status;
-- answer:
-- "2025-06","CANCELLED",21,4340,0
-- "2025-06","PAID_FULL",1750,346580,346580
-- "2025-06","UNPAID",229,44080,0
-- "2025-07","CANCELLED",23,4465,0
-- "2025-07","PAID_FULL",1704,336010,336010
-- "2025-07","UNPAID",273,54525,0
-- "2025-08","CANCELLED",23,4770,0
-- "2025-08","PAID_FULL",1748,345950,345950
-- "2025-08","UNPAID",229,44280,0
-- "2025-09","CANCELLED",13,2750,0
-- "2025-09","PAID_FULL",1753,346655,346655
-- "2025-09","UNPAID",234,45595,0
-- "2025-10","CANCELLED",19,4360,0
-- "2025-10","PAID_FULL",1735,341540,341540
-- "2025-10","UNPAID",246,49100,0
-- "2025-11","CANCELLED",31,6355,0
-- "2025-11","PAID_FULL",1770,349765,349765
-- "2025-11","UNPAID",199,38880,0
