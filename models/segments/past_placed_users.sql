{{ config(materialized='view') }}

-- Where users stood prediction_days ago, by the centres of today: for walls at which no segments were kept.
with segmentation_vectors as (
    select
        segmentation,
        user_key,
        past_vector as vector
    from {{ ref('segmentation_vectors') }}
    where past_vector is not null
),

cluster_centroids as (
    select * from {{ ref('cluster_centroids') }}
    where is_centroid
),

placed as (
    {{ nearest_segments('segmentation_vectors', 'cluster_centroids') }}
),

final as (
    select
        segmentation,
        user_key,
        segmentation || '-' || lpad(cast(segment_number as string), 2, '0') as segment_id
    from placed
)

select * from final
