-- Fails when a raw row is neither clean nor rejected, or is counted twice: staging has lost or invented something.
select
    check_name,
    row_count
from {{ ref('data_quality') }}
where not is_ok
