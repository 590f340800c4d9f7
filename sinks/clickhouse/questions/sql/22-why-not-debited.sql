-- Why was POL100 not debited again on 12 November? The decision that stood on that day.
SELECT business_date, action, reason, explanation, next_date
FROM decisions
WHERE tenant_id = 'acme' AND policy_number = 'POL100' AND period_month = '2025-11' AND business_date <= '2025-11-12'
ORDER BY business_date DESC, seq DESC
LIMIT 1;
-- answer:
-- "2025-11-05","DEBIT","MONEY_SEEN","Money is there.",\N
