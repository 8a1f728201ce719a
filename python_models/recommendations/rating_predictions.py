"""How users would rate their candidates."""

from manyfaces.recommendations.rating_tables import prediction_table


def model(dbt, session):
    candidates = dbt.ref("rated_candidates")
    low, high = dbt.config.meta_get("rating_scale")
    return prediction_table(
        dbt.ref("user_ratings").pl(),
        candidates.pl,
        str(dbt.config.meta_get("store_dir")),
        scale=(float(low), float(high)),
        seed=int(dbt.config.meta_get("seed")),
    )
