delete from analytics.retention_weekly as r
where r.cohort_week = any(%(cohorts)s::date[]) and r.retained = 0
