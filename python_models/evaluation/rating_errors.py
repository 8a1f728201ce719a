"""How far predicted ratings are off."""

from manyfaces.recommendations.rating_tables import error_table


def model(dbt, session):
    low, high = dbt.config.meta_get("rating_scale")
    return error_table(
        dbt.ref("user_ratings").pl(),
        str(dbt.config.meta_get("store_dir")),
        scale=(float(low), float(high)),
        seed=int(dbt.config.meta_get("seed")),
    )
