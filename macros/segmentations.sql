{#
    The segmentations of var segmentations that an algorithm makes, or all of them. Models are read before
    check_config can speak, so nothing is looked at until they run.
#}
{% macro declared_segmentations(algorithm=none) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for segmentation in var('segmentations') if algorithm is none or segmentation.algorithm == algorithm -%}
            {%- do found.append(segmentation) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{# A condition on the column segmentation: that the algorithm makes it. #}
{% macro is_made_by(algorithm) -%}
    {%- set names = declared_segmentations(algorithm) | map(attribute='name') | list -%}
    {{ return("segmentation in ('" ~ names | join("', '") ~ "')" if names else 'false') }}
{%- endmacro %}

{# The columns that the condition of a population may use, and their type. #}
{% macro population_columns() -%}
    {%- set columns = [
        {'name': 'signed_up_at', 'type': 'timestamp'},
        {'name': 'age_band', 'type': 'string'},
        {'name': 'gender', 'type': 'string'},
        {'name': 'region', 'type': 'string'},
        {'name': 'occupation', 'type': 'string'},
        {'name': 'income_band', 'type': 'string'},
        {'name': 'household', 'type': 'string'},
        {'name': 'has_consent', 'type': 'boolean'},
        {'name': 'has_attributes', 'type': 'boolean'},
        {'name': 'events', 'type': 'bigint'},
        {'name': 'positive_events', 'type': 'bigint'},
        {'name': 'first_event_at', 'type': 'timestamp'},
        {'name': 'last_event_at', 'type': 'timestamp'},
    ] -%}
    {%- for column in columns -%}{%- do column.update({'relation': 'user_attributes'}) -%}{%- endfor -%}
    {%- for feature in user_feature_definitions() if feature.name != 'events' -%}
        {%- do columns.append({'name': feature.name, 'type': 'double', 'relation': 'user_features'}) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{# Warns of each population that nobody fits while there are users. No error, because the first may come tomorrow. #}
{% macro warn_of_empty_populations(segmentation_users) -%}
    {%- if execute and run_query('select 1 from ' ~ ref('user_attributes') ~ ' limit 1').rows | length > 0 -%}
        {%- set filled = run_query('select distinct segmentation from ' ~ segmentation_users).columns[0].values() -%}
        {%- for segmentation in declared_segmentations() if segmentation.name not in filled -%}
            {%- do exceptions.warn(
                "manyfaces: segmentation " ~ segmentation.name ~ " has no users: nobody fits its population '"
                ~ segmentation.population ~ "'."
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

{#
    A code for a segment's name, unique within the segmentation, in two steps: letters and digits of every script
    stay, so that names in Chinese or with an umlaut keep codes of their own; names that differ in signs only, such as
    < 18 and 18, get a piece of their hash behind it.
#}
{% macro plain_code(name) -%}
    trim({{ replace_matches('lower(' ~ name ~ ')', '[^\\p{L}\\p{N}+]+', '-') }}, '-')
{%- endmacro %}

{% macro distinct_code(plain_code, name) -%}
    case
        when
            {{ plain_code }} not in ('', 'unassigned')
            and min({{ name }}) over (partition by segmentation, {{ plain_code }})
            = max({{ name }}) over (partition by segmentation, {{ plain_code }})
            then {{ plain_code }}
        else {{ plain_code }} || '-' || substr(md5({{ name }}), 1, 4)
    end
{%- endmacro %}

{#
    1 to 5 by the cut points that a segmentation declares for a feature, else by fifths of its users. A value at a cut
    point counts as inside: 30 days are still within 30 days, and 100 is at least 100. Equal values get equal scores,
    which is why fifths are by cume_dist and not by ntile.
#}
{% macro rfm_score(feature, is_less_better=false) -%}
    case
        {% for segmentation in declared_segmentations('rfm') if feature in (segmentation.cuts or {}) -%}
            when segmentation = '{{ segmentation.name }}' then
            {% for cut in segmentation.cuts[feature] -%}
                case when {{ feature }} {{ '<=' if is_less_better else '>=' }} {{ cut }} then 1 else 0 end +
            {% endfor %} 1
        {% endfor -%}
        when true then cast(ceil(5 * cume_dist() over (
            partition by segmentation order by {{ feature }}{{ ' desc' if is_less_better }}
        )) as integer)
    end
{%- endmacro %}
