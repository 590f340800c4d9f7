-- Are we below the line of 10 % unpaid debits, by month and tenant?
SELECT tenant_id, period_month, round(100 * countIf(status IN ('unpaid', 'rejected')) / count(), 1) AS unpaid_percent,
    unpaid_percent <= 10 AS within_the_line
FROM debits
WHERE status != 'pending'
GROUP BY tenant_id, period_month
ORDER BY tenant_id, period_month;
-- answer:
-- "acme","2025-06",14.8,0
-- "acme","2025-07",16.1,0
-- "acme","2025-08",15.8,0
-- "acme","2025-09",15.4,0
-- "acme","2025-10",16.1,0
-- "acme","2025-11",15.8,0
-- "beta","2025-06",16.1,0
-- "beta","2025-07",14.2,0
-- "beta","2025-08",15.9,0
-- "beta","2025-09",12,0
-- "beta","2025-10",14.4,0
-- "beta","2025-11",13.2,0
