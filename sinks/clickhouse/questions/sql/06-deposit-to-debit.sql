-- How many days after the deposit do we debit, and how often does it succeed then?
SELECT days_after_deposit, count() AS debits, round(100 * countIf(status = 'paid') / debits, 1) AS paid_percent
FROM attempts
WHERE period_month = '2025-11' AND counts_on_deposit
GROUP BY days_after_deposit
ORDER BY days_after_deposit;
-- answer:
-- 1,618,82.8
-- 2,635,82
-- 3,623,82.8
