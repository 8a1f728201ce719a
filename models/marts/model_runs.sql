with runs as (
    select * from {{ ref('learned_runs') }}
),

final as (
    select
        cast(run_id as string) as run_id,
        cast(model as string) as model,
        cast(algorithm as string) as algorithm,
        cast(parameters as string) as parameters,
        cast(data_fingerprint as string) as data_fingerprint,
        cast(metrics as string) as metrics,
        cast(rows as bigint) as rows,
        cast(seconds as double) as seconds,
        cast(peak_memory_mb as double) as peak_memory_mb
    from runs
)

select * from final
