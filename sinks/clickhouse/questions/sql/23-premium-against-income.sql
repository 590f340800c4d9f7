-- What part of their main income do customers pay as premiums, by kind of income?
SELECT income_kind, count() AS customers, round(avg(premium), 2) AS premium_rands, round(avg(last_amount), 2) AS income_rands,
    round(100 * premium_rands / income_rands, 1) AS percent
FROM customers
WHERE active_policies > 0 AND income_kind != 'NONE'
GROUP BY income_kind
ORDER BY income_kind;
-- answer:
-- "GRANT",400,197.5,7744.5,2.6
-- "PENSION",200,195,7743,2.5
-- "SALARY",760,190.79,7758.95,2.5
-- "WAGE",400,251.25,7747.5,3.2
