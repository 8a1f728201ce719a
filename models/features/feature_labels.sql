with final as (
    {% for feature in user_feature_definitions() %}
        select
            '{{ feature.name }}' as feature,
            {{ feature_label(feature.name) }} as label,
            '{{ feature_unit(feature.name) }}' as unit
        {{ "union all" if not loop.last }}
    {% endfor %}
)

select * from final
