-- What will November bring, if it goes on as the months before did from the same day of the month on?
WITH 15 AS today
SELECT sumIf(moved, period_month = '2025-11' AND toDayOfMonth(effective_date) <= today) AS so_far_rands,
    round(100 * sumIf(moved, period_month < '2025-11' AND toDayOfMonth(effective_date) <= today)
        / nullIf(sumIf(moved, period_month < '2025-11'), 0), 1) AS share_by_then_percent,
    round(100 * so_far_rands / nullIf(share_by_then_percent, 0), 0) AS forecast_rands
FROM movements
WHERE formatDateTime(effective_date, '%Y-%m') = period_month;
-- answer:
-- 208630,60.3,345987
