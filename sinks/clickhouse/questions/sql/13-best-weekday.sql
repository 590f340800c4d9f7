-- On which weekday do debits succeed most often?
SELECT action_weekday, count() AS debits, round(100 * countIf(status = 'paid') / debits, 1) AS paid_percent
FROM attempts
WHERE period_month = '2025-11'
GROUP BY action_weekday
ORDER BY paid_percent DESC, action_weekday;
-- answer:
-- "FRI",276,87
-- "MON",343,86
-- "SUN",351,85.2
-- "THU",275,85.1
-- "WED",257,83.7
-- "SAT",332,83.1
-- "TUE",263,80.2
