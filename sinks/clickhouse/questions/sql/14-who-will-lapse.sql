-- Which policies owe the last three months in full, and so are about to lapse?
SELECT tenant_id, policy_number, any(customer_id) AS customer, sum(shortfall) AS owed_rands
FROM arrears
WHERE period_month IN ('2025-09', '2025-10', '2025-11') AND collected_cents = 0
GROUP BY tenant_id, policy_number
HAVING count() = 3
ORDER BY owed_rands DESC, tenant_id, policy_number
LIMIT 5;
-- answer:
-- "acme","POL1462","C1462",630
-- "acme","POL1338","C1338",570
