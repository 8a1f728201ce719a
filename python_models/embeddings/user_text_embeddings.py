"""Each user's direction in the space of the item texts."""

from manyfaces.embeddings.tables import user_text_table


def model(dbt, session):
    return user_text_table(
        dbt.ref("matrix_users").pl(),
        dbt.ref("user_text_weights").pl(),
        dbt.ref("item_text_vectors").pl(),
    )
