{# Half-lives, in days, of a user's own history with an item: what is habit now, and what was over the year. #}
{% macro ranking_half_lives() -%}
    {{ return([7, 30, 120, 365]) }}
{%- endmacro %}

{# What the ranker knows of a candidate, as columns of candidate_features. #}
{% macro ranking_features() -%}
    {%- set features = ['collaborative'] -%}
    {%- for half_life in ranking_half_lives() -%}{%- do features.append('own_' ~ half_life) -%}{%- endfor -%}
    {{ return(features + [
        'in_context', 'in_segment', 'own_days', 'own_last_age', 'own_gaps_since', 'item_gaps_since', 'repeat_rate',
        'return_rate', 'typical_gap', 'popularity_7', 'popularity_28', 'popularity_90', 'trend',
        'subcategory_affinity', 'category_affinity', 'subcategory_last_age', 'own_share_of_subcategory',
        'subcategory_share', 'user_activity', 'user_since', 'user_items', 'user_new_items'
    ]) }}
{%- endmacro %}

{# What only a learned ranker reads is a view where the weights are fixed: it can be asked, and costs nothing. #}
{% macro stored_if_learning() -%}
    {{ return('view' if var('ranker') == 'fixed' else 'table') }}
{%- endmacro %}
