-- Why do debits fail, by bank, in November?
SELECT bank, reason, remedy, count() AS debits, round(100 * debits / sum(debits) OVER (PARTITION BY bank), 1) AS percent_of_bank
FROM attempts
WHERE period_month = '2025-11' AND status IN ('unpaid', 'rejected', 'disputed')
GROUP BY bank, reason, remedy
ORDER BY bank, debits DESC, reason;
-- answer:
-- "051001","INSUFFICIENT_FUNDS","RETRY_WHEN_FUNDS",44,61.1
-- "051001","ACCOUNT_CLOSED","FIX_ACCOUNT",25,34.7
-- "051001","NO_AUTHORITY","STOP",3,4.2
-- "250655","ACCOUNT_CLOSED","FIX_ACCOUNT",34,48.6
-- "250655","INSUFFICIENT_FUNDS","RETRY_WHEN_FUNDS",33,47.1
-- "250655","NO_AUTHORITY","STOP",3,4.3
-- "470010","INSUFFICIENT_FUNDS","RETRY_WHEN_FUNDS",46,49.5
-- "470010","ACCOUNT_CLOSED","FIX_ACCOUNT",43,46.2
-- "470010","NO_AUTHORITY","STOP",4,4.3
-- "632005","ACCOUNT_CLOSED","FIX_ACCOUNT",47,51.1
-- "632005","INSUFFICIENT_FUNDS","RETRY_WHEN_FUNDS",45,48.9
