"""Small inputs made on the spot, and the inputs of manyfaces simulate cut into pieces."""

import csv
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

# Every raw user id holds it, so that a leak can be searched for.
RAW_ID = "customer-7f3a"
ERASED, PRIVATE, NONE, ONE, THREE = (
    f"{RAW_ID}-{name}" for name in ("erased", "private", "none", "one", "three")
)
CROWD = [f"{RAW_ID}-{number:02}" for number in range(40)]
LAMPS = [f"001{number:02}" for number in range(15)]
ROPES = [f"002{number:02}" for number in range(15)]
# The lamp that everybody has, but that is not sold any more.
INACTIVE = LAMPS[-1]


def write_csv(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), restval="")
        writer.writeheader()
        writer.writerows(rows)


def event(user_id: str, item_id: str, day: int, event_type: str = "purchase", **more: object) -> dict:
    """Return a row of events.csv; `day` counts from 2025-03-01."""
    event_at = datetime(2025, 3, 1, 10) + timedelta(days=day)
    row = {"user_id": user_id, "item_id": item_id, "event_type": event_type, "event_at": str(event_at)}
    return row | {"value": "", "x_device": ""} | more


def write_crowd(folder: Path) -> None:
    """Write forty users, of whom half like lamps and half like ropes, beside a few odd ones.

    Ids have leading zeros, one time has an offset, some behaviour types are unknown, one item is inactive,
    one user is to be forgotten, one did not consent, and three have none, one and three events.
    """
    events = []
    for number, user_id in enumerate(CROWD):
        liked = (LAMPS[:-1], ROPES)[number % 2]
        for step in range(8):
            item_id = liked[(number * 3 + step * step) % len(liked)]
            kind = ("purchase", "purchase", "view", "add_to_cart")[step % 4]
            value = f"{5 + step}.50" if kind == "purchase" else ""
            events.append(event(user_id, item_id, number + step * 5, kind, value=value, x_device="tablet"))
        events.append(event(user_id, INACTIVE, number))
    events[0]["event_at"] = "2025-03-01 12:00:00+02:00"
    events += [event(ONE, LAMPS[0], 60)]
    events += [event(THREE, item_id, 50 + step) for step, item_id in enumerate(ROPES[:3])]
    events += [event(PRIVATE, item_id, 40 + step) for step, item_id in enumerate(LAMPS[:10])]
    events += [event(ERASED, item_id, 30 + step) for step, item_id in enumerate(ROPES[:6])]
    events += [event(ERASED, "", 36), event(ERASED, ROPES[0], 37, "teleport")]
    events += [event(CROWD[step], LAMPS[step], 20, "teleport") for step in range(3)]
    events += [event(CROWD[step], LAMPS[step], 20, "Hologram ") for step in range(2)]
    write_csv(folder / "events.csv", events)

    items = [
        {
            "item_id": item_id,
            "title": f"{('Brass', 'Paper', 'Desk')[place % 3]} {thing} {place}",
            "category": category,
            "is_active": str(item_id != INACTIVE).lower(),
            "x_shelf": f"shelf {place}",
        }
        for thing, category, group in (("lamp", "Lighting", LAMPS), ("rope", "Climbing", ROPES))
        for place, item_id in enumerate(group)
    ]
    write_csv(folder / "items.csv", items)

    users = [
        {
            "user_id": user_id,
            "signed_up_at": "2025-01-05",
            "age_band": "25-34",
            "consent": "",
            "x_tier": "gold",
        }
        for user_id in (*CROWD[:20], NONE, ERASED)
    ]
    users.append({"user_id": PRIVATE, "signed_up_at": "2025-01-05", "age_band": "35-44", "consent": "false"})
    write_csv(folder / "users.csv", users)
    write_csv(folder / "erasures.csv", [{"user_id": ERASED, "requested_at": "2025-05-01"}])


def copy_events(source: Path, target: Path, where: str) -> None:
    """Copy the rows of a parquet file that a condition picks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # A connection of its own: two scenarios at once on the shared one wait for each other for ever.
    with duckdb.connect() as connection:
        connection.execute(f"copy (select * from '{source}' where {where}) to '{target}' (format parquet)")
