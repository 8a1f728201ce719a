"""Names of the clustered segments, from what they like more than everybody does."""

from manyfaces.frames import previous_rows
from manyfaces.phrases import Phrases
from manyfaces.segments.naming import ITEMS_PER_SEGMENT, name_segmentations


def model(dbt, session):
    clustered = dbt.ref("user_clusters").select("segmentation").distinct()
    segments = dbt.ref("segment_sizes").join(clustered, "segmentation", how="semi")
    categories = dbt.ref("segment_category_stats").join(clustered, "segmentation", how="semi")
    items = dbt.ref("segment_item_stats").join(clustered, "segmentation", how="semi")
    # Small cells could point at single users; in small data one user in ten of the segment is enough.
    min_users = int(dbt.config.meta_get("min_users_per_cell"))
    liked = f"lift > 1 and users >= least({min_users}, ceil(segment_users / 10.0))"
    strongest = f"""
        select segment_id, item_id, users, share, lift
        from item_stats
        qualify row_number() over (partition by segment_id order by distinctiveness desc, item_id)
            <= {ITEMS_PER_SEGMENT}
    """
    titles = dbt.ref("item_stats").select("item_id, title, category, subcategory")
    wall = dbt.ref("wall").select("as_of").fetchall()
    return name_segmentations(
        segments.filter("not is_unassigned").select("segmentation, segment_id").pl(),
        categories.filter(liked).select("segment_id, category, users, share, lift").pl(),
        items.filter(liked).query("item_stats", strongest).join(titles, "item_id", how="left").pl(),
        dbt.ref("name_words").pl(),
        Phrases(dbt.ref("phrases").pl(), str(dbt.config.meta_get("language"))),
        as_of=wall[0][0] if wall else None,
        previous=previous_rows(session, dbt.this),
    )
