-- How many debits does one success take, by rail?
SELECT rail, count() AS debits, countIf(status = 'paid') AS paid, round(debits / paid, 2) AS debits_per_success
FROM debits
GROUP BY rail
ORDER BY rail;
-- answer:
-- "DEBICHECK",9938,8373,1.19
-- "EFT",2471,2087,1.18
