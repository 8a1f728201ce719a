{#
    The warehouse says of itself which runs wrote it: builds.runs has a row for each run of dbt, builds.nodes one for
    each table and test, with the run that made it last and how that went. So nobody publishes half a build: a run that
    was killed has no end, and a table that a later run left behind is older than what it is made from.
#}

{# on-run-start: what is about to be made or tested counts as unfinished until the run ends. #}
{% macro record_run_start() -%}
    {#- Hooks are compiled, but not run, for those who only look. -#}
    {%- if execute and invocation_args_dict.which not in ['compile', 'generate', 'list', 'parse', 'show'] -%}
        {%- set selected = [] -%}
        {%- for unique_id in selected_resources -%}
            {%- do selected.append({'unique_id': unique_id, 'status': 'started'}) -%}
        {%- endfor -%}
        {%- set project_folder = (invocation_args_dict.project_dir or '.') | replace("'", "''") -%}
        {#- Projects that know one language only have no such var. -#}
        {%- set language = var('language') if var.has_var('language') else 'en' -%}
        {#- Run here, not handed to dbt: its hooks fail without stopping the run, which would then have no record. -#}
        {%- call statement('record_run_start', auto_begin=False) %}
        begin;
        create schema if not exists builds;
        create table if not exists builds.runs (number bigint);
        create table if not exists builds.nodes (unique_id string);
        {#- A warehouse of an earlier version may lack some. -#}
        {%- for table, columns in {
            'runs': {
                'run_id': 'string', 'command': 'string', 'started_at': 'timestamp', 'ended_at': 'timestamp',
                'as_of': 'timestamp', 'git_revision': 'string', 'language': 'string', 'manyfaces_version': 'string',
                'build_number': 'bigint', 'state': 'string', 'problem': 'string',
            },
            'nodes': {
                'run_number': 'bigint', 'status': 'string', 'status_run_id': 'string', 'earlier_status': 'string',
            },
        }.items() %}
            {%- for column, type in columns.items() %}
        alter table builds.{{ table }} add column if not exists {{ column }} {{ type }};
            {%- endfor %}
        {%- endfor %}
        insert into builds.runs (number, run_id, command, started_at, git_revision, language, manyfaces_version)
        select
            coalesce(max(number), 0) + 1,
            '{{ invocation_id }}',
            '{{ invocation_args_dict.which }}',
            {{ utc_now() }},
            git_revision('{{ project_folder }}'),
            '{{ language }}',
            getvariable('manyfaces_version')
        from builds.runs;
        {{ record_nodes(selected) }}
        commit;
        {%- endcall -%}
    {%- endif -%}
{%- endmacro %}

{# on-run-end: how it went, and whether the marts are of one piece. #}
{% macro record_run_end(results) -%}
    {%- if execute -%}
        {%- set is_without_rows = invocation_args_dict.empty or invocation_args_dict.sample -%}
        {%- set changed = [] -%}
        {%- for result in results -%}
            {%- set status = result.status | string -%}
            {%- do changed.append({
                'unique_id': result.node.unique_id,
                'status': 'empty' if is_without_rows and status == 'success' else status,
            }) -%}
        {%- endfor -%}
        begin;
        {{ record_nodes(changed) }}
        update builds.runs
        set
            ended_at = {{ utc_now() }},
            as_of = {{ present_wall() }},
            build_number = marts.build_number,
            state = marts.state,
            problem = marts.problem
        from ({{ state_of_marts() }}) as marts
        where run_id = '{{ invocation_id }}';
        commit;
    {%- endif -%}
{%- endmacro %}

{% macro utc_now() -%}
    cast(now() at time zone 'UTC' as timestamp)
{%- endmacro %}

{# The wall that the tables were built for, as the warehouse has it. #}
{% macro present_wall() -%}
    {%- set wall = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | selectattr('name', 'equalto', 'wall') | first -%}
    {%- if load_relation(api.Relation.create(database=wall.database, schema=wall.schema, identifier=wall.alias)) -%}
        (select max(as_of) from {{ wall.relation_name }})
    {%- else -%}
        null
    {%- endif -%}
{%- endmacro %}

{#
    Write builds.nodes anew from the project as it is now: what it no longer has goes, what did not change stays. What a
    run selected but did not run, as dbt retry does, is at its end as it was before.
#}
{% macro record_nodes(changed) -%}
    create or replace table builds.nodes as
    with declared as (
        select unnest(from_json(
            '{{ tojson(recorded_nodes()) | replace("'", "''") }}',
            '[{"unique_id": "string", "resource_type": "string", "name": "string", "schema_name": "string", "table_name": "string", "materialization": "string", "parents": ["string"], "key_columns": ["string"]}]'
        ), recursive := true)
    ),

    changed as (
        select unnest(from_json(
            '{{ tojson(changed) | replace("'", "''") }}', '[{"unique_id": "string", "status": "string"}]'
        ), recursive := true)
    )

    select
        declared.*,
        case
            when changed.status = 'success' then (select max(number) from builds.runs) else known.run_number
        end as run_number,
        case
            when changed.status is not null then changed.status
            when known.status = 'started' and known.status_run_id = '{{ invocation_id }}' then known.earlier_status
            else known.status
        end as status,
        case when changed.status is not null then '{{ invocation_id }}' else known.status_run_id end as status_run_id,
        known.status as earlier_status
    from declared
    left join builds.nodes as known on declared.unique_id = known.unique_id
    left join changed on declared.unique_id = changed.unique_id
    order by declared.unique_id;
{%- endmacro %}

{#
    Tables and tests of the project, with the columns of the tested key of a table. Unit tests are no part of the graph;
    the table of one that fails is not made, which is enough.
#}
{% macro recorded_nodes() -%}
    {%- set keys, not_null = {}, [] -%}
    {%- set tests = graph.nodes.values() | selectattr('resource_type', 'equalto', 'test') | selectattr('test_metadata') | list -%}
    {%- for test in tests if test.test_metadata.name == 'not_null' -%}
        {%- do not_null.append((test.attached_node, test.test_metadata.kwargs.column_name)) -%}
    {%- endfor -%}
    {%- for test in tests -%}
        {%- set arguments = test.test_metadata.kwargs -%}
        {%- if test.test_metadata.name == 'unique' and (test.attached_node, arguments.column_name) in not_null -%}
            {%- do keys.update({test.attached_node: [arguments.column_name]}) -%}
        {%- elif test.test_metadata.name == 'unique_combination' and test.attached_node not in keys -%}
            {%- do keys.update({test.attached_node: arguments.columns}) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type in ['model', 'seed', 'snapshot', 'test'] -%}
        {%- do found.append({
            'unique_id': node.unique_id,
            'resource_type': node.resource_type,
            'name': node.name,
            'schema_name': node.schema,
            'table_name': node.alias,
            'materialization': node.config.materialized,
            'parents': node.depends_on.nodes if node.resource_type in ['model', 'snapshot'] else [],
            'key_columns': keys.get(node.unique_id),
        }) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#
    One row: the newest run that made any of the tables that the marts are made of, the state they are in, and what is
    wrong where they cannot be published. A view is as new as what it reads.
#}
{% macro state_of_marts() -%}
    with recursive edges as (
        select
            unique_id as child,
            unnest(parents) as parent
        from builds.nodes
    ),

    needed(unique_id) as (
        select unique_id
        from builds.nodes
        where resource_type = 'model' and schema_name = 'marts'
        union
        select edges.parent
        from edges
        inner join needed on edges.child = needed.unique_id
    ),

    reads(child, parent) as (
        select
            child,
            parent
        from edges
        union
        select
            reads.child,
            edges.parent
        from reads
        inner join builds.nodes on reads.parent = nodes.unique_id and nodes.materialization = 'view'
        inner join edges on reads.parent = edges.child
    ),

    tables as (
        select nodes.*
        from builds.nodes
        semi join needed using (unique_id)
        where materialization <> 'view'
    ),

    problems as (
        select
            1 as severity,
            name,
            case
                when resource_type = 'test' then 'the test ' || name || case
                    when status in ('fail', 'error') then ' failed' else ' was not run to its end'
                end
                when status = 'empty' then name || ' was made with --empty or --sample'
                when status in ('fail', 'error') then name || ' could not be made'
                else name || ' was not made anew'
            end as said,
            status not in ('fail', 'error') as is_consequence
        from builds.nodes
        where status not in ('success', 'pass', 'warn', 'no-op')
        union all
        select
            2,
            name,
            name || ' has not been built yet',
            false
        from builds.nodes
        where resource_type = 'model' and schema_name = 'marts' and run_number is null and status is null
        union all
        select
            3,
            child.name,
            child.name || ' is older than ' || min(parent.name) || ', which it is made from',
            false
        from reads
        inner join tables as child on reads.child = child.unique_id
        inner join builds.nodes as parent on reads.parent = parent.unique_id
        where parent.run_number > child.run_number
        group by child.name
    ),

    worst as (
        select
            arg_min(said, (severity, is_consequence, name)) as said,
            count(distinct name) - 1 as others
        from problems
    )

    select
        (select max(run_number) from tables) as build_number,
        case
            when worst.said is not null then 'incomplete'
            when (select count(distinct run_number) from tables) <= 1 then 'whole'
            else 'updated'
        end as state,
        worst.said || case when worst.others > 0 then ' (and ' || worst.others || ' more)' else '' end as problem
    from worst
{%- endmacro %}
