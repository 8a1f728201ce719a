{#
    How personal a row of a list is, by the source that gives its reason. 0: the user's own history; 1: the same, but
    thin; 2: a group that the user belongs to (segment, like attributes, relations, context); 3: the same for everybody.
#}
{% macro fallback_level(source, user_events) -%}
    case
        when {{ source }} in ('popular', 'rising', 'rule') then 3
        when {{ source }} in ('segment', 'distinctive', 'attribute', 'social', 'context') then 2
        when {{ user_events }} < {{ var('thin_history_events') }} then 1
        else 0
    end
{%- endmacro %}
