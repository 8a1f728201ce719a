with segmentation_vectors as (
    select * from {{ ref('segmentation_vectors') }}
),

cluster_centroids as (
    select * from {{ ref('cluster_centroids') }}
    where is_centroid
),

final as (
    {{ nearest_segments('segmentation_vectors', 'cluster_centroids') }}
)

select * from final
