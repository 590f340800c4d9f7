-- Do later cohorts of customers pay better? By the month of their first policy, for November.
SELECT k.cohort_month AS cohort_month, uniqExact(c.tenant_id, c.customer_id) AS customers, sum(c.due) AS due_rands,
    sum(c.collected) AS collected_rands, round(100 * collected_rands / due_rands, 1) AS percent
FROM collections AS c
INNER JOIN customers AS k ON k.tenant_id = c.tenant_id AND k.customer_id = c.customer_id
WHERE c.period_month = '2025-11' AND c.collection_status != 'CANCELLED'
GROUP BY cohort_month
ORDER BY cohort_month;
-- answer:
-- "2024-07",165,33795,29965,88.7
-- "2024-08",164,32800,29200,89
-- "2024-09",164,38120,32360,84.9
-- "2024-10",130,24700,22080,89.4
-- "2024-11",164,33520,31095,92.8
-- "2024-12",162,32480,29000,89.3
-- "2025-01",164,37900,34910,92.1
-- "2025-02",133,25100,21600,86.1
-- "2025-03",165,33815,31245,92.4
-- "2025-04",165,33170,30330,91.4
-- "2025-05",165,38325,36220,94.5
-- "2025-06",131,24920,21760,87.3
