-- What share of each month's premiums was collected within the month, and what share later?
SELECT c.period_month AS period_month, c.due_rands AS due_rands, m.within AS within_rands, m.later AS later_rands,
    round(100 * m.within / c.due_rands, 1) AS within_percent, round(100 * (m.within + m.later) / c.due_rands, 1) AS percent
FROM
(
    SELECT period_month, sum(due) AS due_rands FROM collections WHERE collection_status != 'CANCELLED' GROUP BY period_month
) AS c
LEFT JOIN
(
    SELECT period_month, sumIf(moved, formatDateTime(effective_date, '%Y-%m') = period_month) AS within,
        sum(moved) - within AS later
    FROM movements
    GROUP BY period_month
) AS m ON m.period_month = c.period_month
ORDER BY period_month;
-- answer:
-- "2025-06",390660,346580,0,88.7,88.7
-- "2025-07",390535,336010,0,86,86
-- "2025-08",390230,345950,0,88.7,88.7
-- "2025-09",392250,346655,0,88.4,88.4
-- "2025-10",390640,341540,0,87.4,87.4
-- "2025-11",388645,349765,0,90,90
