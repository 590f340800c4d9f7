-- Are we below the line of 0.5 % disputed debits, by rail?
SELECT rail, countIf(status = 'disputed') AS disputed, round(100 * disputed / count(), 2) AS disputed_percent,
    disputed_percent <= 0.5 AS within_the_line
FROM debits
GROUP BY rail
ORDER BY rail;
-- answer:
-- "DEBICHECK",43,0.43,1
-- "EFT",7,0.28,1
