select (extract(epoch from f.frontier) * 1000000)::bigint as frontier
from ops.retention_frontier as f
where isfinite(f.frontier)
