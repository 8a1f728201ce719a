{#
    on-run-end, after record_run_end: var publish_at_end has the run publish what it made. dbt holds the warehouse until
    it ends, so this process has to do it. Never half a build: a run that failed publishes nothing.
#}
{% macro publish_at_end(results) -%}
    {%- if execute and var('publish_at_end') and not var('backtest') -%}
        {%- set made = [] -%}
        {%- for result in results if result.status | string == 'success' and result.node.schema == 'marts' -%}
            {%- do made.append(result.node) -%}
        {%- endfor -%}
        {%- if made -%}
            {%- set problem = run_query("select problem from builds.runs where run_id = '" ~ invocation_id ~ "'").rows[0][0] -%}
            {%- if problem -%}
                {%- do exceptions.warn("manyfaces: not published, because this is no whole build: " ~ problem ~ ".") -%}
            {%- else -%}
                {%- set marts = api.Relation.create(database=target.database, schema='marts') -%}
                {%- do adapter.store_relation('dbt_plugin', marts, [], 'serving.duckdb', 'duckdb', {'kept_builds': var('kept_builds')}) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
