"""How sure the mean NDCG of each strategy is, and its difference to others."""

from manyfaces.evaluation.tables import metric_intervals_table


def model(dbt, session):
    metrics = dbt.ref("user_list_metrics").select("family, list, scope, strategy, k, user_number, ndcg")
    return metric_intervals_table(
        metrics.pl(),
        dbt.ref("backtest_groups").pl(),
        replicates=int(dbt.config.meta_get("backtest_replicates")),
        seed=int(dbt.config.meta_get("seed")),
    )
