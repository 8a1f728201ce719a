{#
    The first 32 hex digits of HMAC-SHA-256(key, raw id as UTF-8 text). The padded keys are session variables that
    manyfaces.dbt_plugin sets, so the key never passes through Jinja.
#}
{% macro pseudonym(user_id) -%}
    substr(
        sha256(
            getvariable('pseudonym_outer_pad')
            || unhex(sha256(getvariable('pseudonym_inner_pad') || encode({{ user_id }})))
        ),
        1,
        32
    )
{%- endmacro %}
