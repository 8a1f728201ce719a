{#
    Places users in segments without Python and without training: a query with a row per user of `users`
    (segmentation, user_key, vector) and segmentation of `centroids` (segmentation, cluster, centroid, radius) with the
    same name. Both are names of relations or CTEs. A user has to lie in the space of the centroids: see column space
    of both tables.

    distance and second_distance are those to the nearest and the second nearest centre; margin as in user_segments;
    is_outside says that the user lies farther from the centre than 99 % of those it was fitted on.
#}
{% macro nearest_segments(users, centroids) -%}
    select
        near.segmentation,
        near.user_key,
        own.segment_number,
        near.nearest[1].distance as distance,
        near.nearest[2].distance as second_distance,
        round(
            greatest(near.nearest[2].distance - near.nearest[1].distance, 0) / nullif(near.nearest[2].distance, 0), 6
        ) as margin,
        near.nearest[1].distance > own.radius as is_outside
    from (
        select
            placed.segmentation,
            placed.user_key,
            {{ nearest_centres('placed.vector', 'listed.centres') }} as nearest
        from (
            select
                segmentation,
                user_key,
                {{ double_vector('vector') }} as vector
            from {{ users }}
        ) as placed
        inner join (
            select
                segmentation,
                {{ all_rows(['cluster', 'centroid']) }} as centres
            from (
                select
                    segmentation,
                    cluster,
                    {{ double_vector('centroid') }} as centroid
                from {{ centroids }}
            ) as precise
            group by segmentation
        ) as listed
            on placed.segmentation = listed.segmentation
    ) as near
    inner join {{ centroids }} as own
        on
            near.segmentation = own.segmentation
            and near.nearest[1].cluster = own.cluster
{%- endmacro %}
