-- What is decided about November's collections as things stand?
SELECT action, reason, count() AS collections, min(next_date) AS earliest_next
FROM standing_decisions
WHERE period_month = '2025-11'
GROUP BY action, reason
ORDER BY action, reason;
-- answer:
-- "DEBIT","MONEY_SEEN",1549,\N
-- "DEBIT","PAYDAY",221,\N
-- "WAIT","AWAIT_INCOME",230,"2025-11-26"
