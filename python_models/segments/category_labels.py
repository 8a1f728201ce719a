"""Categories spelled out for people."""

from manyfaces.segments.labels import label_categories


def model(dbt, session):
    categories = dbt.ref("item_stats").filter("category is not null").select("category").distinct().pl()
    return label_categories(categories["category"].to_list(), dbt.ref("name_words").pl())
