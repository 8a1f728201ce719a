"""What each feature of a candidate is worth, for everyone and by segment, learned from the last days."""

from manyfaces.recommendations.ranking import weights_table


def model(dbt, session):
    wanted = str(dbt.config.meta_get("ranker")) != "fixed"
    examples = dbt.ref("training_examples")
    return weights_table(
        examples.pl() if wanted else None,
        str(dbt.config.meta_get("store_dir")),
        seed=int(dbt.config.meta_get("seed")),
    )
