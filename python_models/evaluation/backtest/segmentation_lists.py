"""The lists that the linear ranker gives with one segmentation after the other, and with none."""

from manyfaces.recommendations.segmentation_lists import segmentation_table


def model(dbt, session):
    users = dbt.ref("backtest_users").select("user_number, user_key").pl()
    items = dbt.ref("item_stats").select("item_number, item_id").pl()
    examples = dbt.ref("training_examples").pl()
    features = dbt.ref("candidate_features").filter("wall_number = 0").set_alias("features")
    judged = dbt.ref("backtest_users").select("user_number as judged_user").set_alias("judged")
    candidates = features.join(judged, "features.user_number = judged.judged_user").pl()
    return segmentation_table(
        examples,
        candidates,
        dbt.ref("segmentation_members").pl(),
        dbt.ref("segmentation_item_strengths").pl(),
        users,
        items,
        top_n=int(dbt.config.meta_get("top_n")),
        seed=int(dbt.config.meta_get("seed")),
    )
