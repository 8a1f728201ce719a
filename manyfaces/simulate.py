"""Writes an input of any size whose truth is known: planted segments, drift, bots and dirt.

The folder that comes out is a complete `input: files` of the dbt project. Beside the data lies `truth/`: who
belongs to which segment and when that changes, what each segment likes best, and how many rows of every kind
of dirt are in the events, counted so that `rejected_events` must agree to the row.

How an event comes about. A user has a segment, a segment has preferred categories and ranked favourite items,
and the user weighs these categories in a way of their own and has a small repertoire to return to. Each event
draws its item from the favourites, the repertoire, the preferred categories or, whoever the user is, from
everything by popularity (Zipf). Events come in sessions; the purchases of a session are lines of one order.

Users are made in blocks of about a million events, each from its own child of the seed, so memory does not
grow with the number of events and the files do not depend on how many threads write them.
"""

import argparse
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from manyfaces.errors import UserError
from manyfaces.progress import Ticker, stage

MADE_BY = "manyfaces simulate"
BLOCK_EVENTS = 1_000_000
MAX_SEGMENTS = 16
MIN_ITEMS = 32
FAVOURITES = 20

# The limits of the cleaning rules (vars of dbt_project.yml) that bots and bursts are made to break.
MAX_EVENTS_PER_DAY = 2000
MAX_EVENTS_PER_MINUTE = 60
# What an ordinary user does on an average day at most: far enough below the limits never to look like a bot.
MAX_ORDINARY_EVENTS_PER_DAY = 200

REJECTION_REASONS = (
    "missing_user_id",
    "missing_item_id",
    "missing_time",
    "impossible_time",
    "unknown_event_type",
    "non_positive_quantity",
    "bot",
    "burst",
    "duplicate",
)
# How the dirt rate is shared out. Bots and bursts come on top of it, outliers are not rejected but capped.
_DIRT_SHARES = {
    "missing_user_id": 0.20,
    "missing_item_id": 0.15,
    "missing_time": 0.10,
    "impossible_time": 0.10,
    "unknown_event_type": 0.10,
    "non_positive_quantity": 0.10,
    "duplicate": 0.25,
}

# Raw event types of seeds/event_types.csv with their frequency, then three that it does not know.
_TYPE_SHARES = {
    "view": 0.58,
    "click": 0.08,
    "watch": 0.05,
    "add_to_cart": 0.10,
    "remove_from_cart": 0.02,
    "favourite": 0.03,
    "share": 0.01,
    "rating": 0.03,
    "purchase": 0.10,
    "return": 0.0,  # made from purchases
}
_UNKNOWN_TYPES = ("heartbeat", "debug_ping", "legacy_7")
_TYPES = (*_TYPE_SHARES, *_UNKNOWN_TYPES)
_VIEW, _CLICK, _WATCH, _RATING, _PURCHASE, _RETURN = (
    _TYPES.index(name) for name in ("view", "click", "watch", "rating", "purchase", "return")
)
_CONTEXTS = ("app", "web", "store")

# Where an item comes from: the segment's favourites, the user's repertoire, the segment's categories, all.
_SOURCE_SHARES = (0.20, 0.30, 0.25, 0.25)
_REPERTOIRE = 8

_SECOND = 1_000_000  # microseconds
_MINUTE = 60 * _SECOND
_DAY = 86_400 * _SECOND
_NEVER = np.iinfo(np.int64).max
_NO_TIME = np.iinfo(np.int64).min
_NO_QUANTITY = np.iinfo(np.int32).min
# No session starts between 3 and 4 at night and none lasts 45 minutes: the last quarter is the bursts' alone.
_HOURS = (3, 2, 1, 0, 1, 1, 2, 4, 6, 7, 7, 8, 9, 8, 7, 7, 8, 9, 11, 13, 13, 12, 9, 5)
_MAX_SESSION_EVENTS = 40
_SESSION_GAP_MS = (5_000, 55_000)
_BURST_FROM = (3 * 60 + 45) * _MINUTE
_BURST_MINUTES = 15

# Themes with words for titles; below each its four categories with four kinds of things. Both in one order.
_VOCABULARY = {
    "en": """
home cooking: organic, traditional, spicy, family-size, fine
- spices and sauces: soy sauce, curry paste, black pepper, chilli oil
- baking: bread flour, dry yeast, cake mix, vanilla sugar
- cookware: frying pan, stock pot, chef knife, wok
- coffee and tea: espresso beans, green tea, filter coffee, chai
outdoor life: light, waterproof, rugged, compact, alpine
- camping: tent, sleeping bag, camping stove, headlamp
- hiking: hiking boots, rucksack, trekking poles, rain jacket
- cycling: bicycle helmet, inner tube, bicycle light, cycling gloves
- fishing: fishing rod, fishing reel, lure set, landing net
young family: soft, gentle, colourful, wooden, hypoallergenic
- nappies and care: nappies, baby wipes, baby lotion, changing mat
- baby food: infant formula, fruit puree, baby porridge, teething rusks
- toys: building blocks, plush bear, puzzle, toy train
- children's clothing: romper, rain suit, bobble hat, pyjamas
beauty: nourishing, matte, fresh, radiant, fragrance-free
- skin care: face cream, cleansing foam, serum, sun cream
- make-up: lipstick, mascara, foundation, eye shadow
- hair care: shampoo, hair mask, conditioner, styling gel
- perfume: eau de parfum, body mist, scented candle, cologne
gaming and computers: wireless, mechanical, silent, fast, limited
- video games: racing game, role-playing game, puzzle game, strategy game
- computer parts: graphics card, keyboard, solid-state drive, monitor
- headphones: headset, earbuds, studio headphones, charging case
- smart home: smart bulb, doorbell camera, smart speaker, thermostat
pets: grain-free, crunchy, cosy, natural, senior
- dogs: dog food, dog lead, chew bone, dog bed
- cats: cat litter, cat food, scratching post, cat toy
- aquarium: fish food, aquarium filter, water plants, gravel
- birds and rodents: bird seed, hay, hamster wheel, nesting box
home improvement: heavy-duty, cordless, weatherproof, quick, rust-free
- power tools: hammer drill, jigsaw, sander, screwdriver
- paint: wall paint, wood varnish, paint roller, masking tape
- gardening: flower bulbs, pruning shears, garden hose, potting soil
- lighting: floor lamp, ceiling light, desk lamp, garden lantern
sport and fitness: breathable, anti-slip, high-energy, elastic, pro
- running: running shoes, running shirt, sports watch, running belt
- yoga: yoga mat, yoga block, leggings, meditation cushion
- strength training: dumbbells, kettlebell, resistance band, pull-up bar
- sports nutrition: protein powder, energy bar, electrolyte drink, creatine
""",
    "zh": """
家庭烹饪: 有机, 传统, 香辣, 家庭装, 精选
- 调味酱料: 酱油, 咖喱酱, 黑胡椒, 辣椒油
- 烘焙: 面包粉, 干酵母, 蛋糕粉, 香草糖
- 炊具: 平底锅, 汤锅, 主厨刀, 炒锅
- 咖啡与茶: 意式咖啡豆, 绿茶, 滤泡咖啡, 奶茶
户外生活: 轻量, 防水, 耐用, 便携, 高山
- 露营: 帐篷, 睡袋, 露营炉, 头灯
- 徒步: 登山鞋, 背包, 登山杖, 冲锋衣
- 骑行: 骑行头盔, 内胎, 自行车灯, 骑行手套
- 钓鱼: 鱼竿, 渔轮, 路亚饵, 抄网
育儿家庭: 柔软, 温和, 彩色, 木制, 低敏
- 尿裤护理: 纸尿裤, 婴儿湿巾, 婴儿润肤露, 尿布垫
- 婴儿食品: 婴儿奶粉, 果泥, 米糊, 磨牙饼
- 玩具: 积木, 毛绒熊, 拼图, 玩具火车
- 童装: 连体衣, 雨衣, 毛线帽, 睡衣
美妆护肤: 滋养, 哑光, 清新, 焕亮, 无香
- 护肤: 面霜, 洁面泡沫, 精华液, 防晒霜
- 彩妆: 口红, 睫毛膏, 粉底液, 眼影
- 护发: 洗发水, 发膜, 护发素, 定型啫喱
- 香水: 淡香精, 身体喷雾, 香薰蜡烛, 古龙水
游戏与电脑: 无线, 机械, 静音, 高速, 限量
- 电子游戏: 竞速游戏, 角色扮演游戏, 益智游戏, 策略游戏
- 电脑配件: 显卡, 键盘, 固态硬盘, 显示器
- 耳机: 头戴耳麦, 入耳式耳机, 监听耳机, 充电盒
- 智能家居: 智能灯泡, 门铃摄像头, 智能音箱, 温控器
宠物: 无谷, 香脆, 舒适, 天然, 老年
- 狗狗用品: 狗粮, 牵引绳, 磨牙骨, 狗窝
- 猫咪用品: 猫砂, 猫粮, 猫抓板, 逗猫棒
- 水族: 鱼食, 鱼缸过滤器, 水草, 底砂
- 小宠: 鸟食, 干草, 仓鼠跑轮, 鸟窝
家装园艺: 重型, 充电式, 耐候, 快速, 防锈
- 电动工具: 冲击钻, 曲线锯, 砂光机, 螺丝刀
- 油漆涂料: 墙面漆, 木器清漆, 滚筒刷, 美纹纸
- 园艺: 花卉种球, 修枝剪, 园艺水管, 营养土
- 照明: 落地灯, 吸顶灯, 台灯, 庭院灯
运动健身: 透气, 防滑, 高能, 弹力, 专业
- 跑步: 跑鞋, 速干衣, 运动手表, 跑步腰包
- 瑜伽: 瑜伽垫, 瑜伽砖, 紧身裤, 冥想坐垫
- 力量训练: 哑铃, 壶铃, 弹力带, 引体向上杆
- 运动营养: 蛋白粉, 能量棒, 电解质饮料, 肌酸
""",
}
# Typical price of each category, in that order.
_PRICES = (
    *(4, 5, 35, 9, 60, 70, 45, 30, 15, 6, 20, 18, 22, 16, 12, 55),
    *(45, 90, 80, 50, 24, 20, 28, 10, 95, 30, 18, 40, 75, 25, 55, 28),
)
_BRANDS = {
    "en": "Norvik, Albara, Kestrel, Lumora, Oakline, Picobo, Rivano, Tundrel, Velaris, Zephyra",
    "zh": "青禾记, 远山集, 白鹭坊, 微澜社, 橡木堂, 知夏里, 北川造, 星野屋, 云间阁, 若水轩",
}
_SERIES = {
    "en": "Classic, Plus, Select, Basic, Prime, Nova, Home, Studio",
    "zh": "经典, 优享, 甄选, 基础, 尊享, 新锐, 居家, 工坊",
}
_BRANDS_A_CATEGORY = 5
_ATTRIBUTES = {
    "en": {
        "age_band": ("18-24", "25-34", "35-44", "45-54", "55-64", "65+"),
        "gender": ("female", "male", "other"),
        "region": ("north", "east", "south", "west", "centre"),
        "occupation": ("student", "employee", "self-employed", "homemaker", "retired"),
        "income_band": ("low", "middle", "high"),
        "household": ("single", "couple", "family", "shared"),
    },
    "zh": {
        "age_band": ("18-24", "25-34", "35-44", "45-54", "55-64", "65+"),
        "gender": ("女", "男", "其他"),
        "region": ("华北", "华东", "华南", "西部", "华中"),
        "occupation": ("学生", "职员", "自由职业", "家庭主妇", "退休"),
        "income_band": ("低", "中", "高"),
        "household": ("单身", "夫妻", "家庭", "合租"),
    },
}
# How often an attribute is the one that is typical of the segment: demographics hint at taste, no more.
_TYPICAL_ATTRIBUTE_SHARE = 0.3
_MISSING_ATTRIBUTE_SHARE = 0.03


@dataclass(frozen=True)
class Parameters:
    """What to simulate. `None` means the default that follows from the number of events; see `resolved`.

    Attributes:
        events: Rows of the events file, dirt included.
        users: Rows of the users file, those without events and bots included; default events / 100.
        items: Rows of the items file; default events / 1000, at least 50 and at most 100,000.
        segments: Planted segments, 1 to 16.
        seed: The same seed and parameters give the same files, byte by byte.
        days: Length of the period in days.
        end: Last day of the period, inclusive.
        dirt_rate: Dirty rows as a share of all events, without bots and bursts; 0 plants no burst or outlier.
        bots: Users that act more than 2,000 times on one day; default one per 250,000 events.
        drift_share: Share of the users with a taste who change their segment half-way.
        language: Language of titles, categories and attributes: en or zh. Nothing else depends on it.
    """

    events: int = 1_000_000
    users: int | None = None
    items: int | None = None
    segments: int = 6
    seed: int = 7
    days: int = 365
    end: date = date(2025, 6, 30)
    dirt_rate: float = 0.01
    bots: int | None = None
    drift_share: float = 0.05
    language: str = "en"

    def resolved(self) -> "Parameters":
        """Return the parameters with every default filled in.

        Raises:
            ValueError: A value is out of range, or the values do not fit together; says what to change.
        """
        if self.events < 1:
            raise ValueError(f"--events must be at least 1, not {self.events}.")
        bots = self.bots
        if bots is None:
            bots = max(1, round(self.events / 250_000)) if self.events >= 50_000 else 0
        users = max(20 + bots, self.events // 100) if self.users is None else self.users
        items = min(max(50, self.events // 1000), 100_000) if self.items is None else self.items
        checks = (
            (users >= 1, f"--users must be at least 1, not {users}."),
            (items >= MIN_ITEMS, f"--items must be at least {MIN_ITEMS}, one a category, not {items}."),
            (
                1 <= self.segments <= MAX_SEGMENTS,
                f"--segments must be 1 to {MAX_SEGMENTS}, not {self.segments}.",
            ),
            (self.seed >= 0, f"--seed must not be negative, as {self.seed} is."),
            (self.days >= 1, f"--days must be at least 1, not {self.days}."),
            (0 <= self.dirt_rate <= 0.5, f"--dirt-rate must be 0 to 0.5, not {self.dirt_rate}."),
            (0 <= bots < users, f"--bots must be fewer than the {users} users, not {bots}."),
            (0 <= self.drift_share <= 1, f"--drift-share must be 0 to 1, not {self.drift_share}."),
            (self.language in _BRANDS, f"--language must be en or zh, not {self.language}."),
            (
                self.end - timedelta(days=self.days) >= date(1990, 1, 1) and self.end <= date(2098, 12, 31),
                "--end and --days must stay between 1990 and 2098: other times are planted as impossible.",
            ),
        )
        for is_good, sentence in checks:
            if not is_good:
                raise ValueError(sentence)
        return replace(self, users=users, items=items, bots=bots)


@dataclass(frozen=True)
class _Catalogue:
    """Items and how to draw them; arrays by item index (0 .. items - 1) unless said otherwise."""

    ids: pa.Array
    category: np.ndarray  # index of the category, theme * 4 + position
    price: np.ndarray
    released: np.ndarray  # microseconds since 1970; the first moment when it can be used
    retired: np.ndarray  # the moment from which it cannot be used any more, or _NEVER
    substitute: np.ndarray  # an item of the same category that can be used at any time
    by_category: np.ndarray  # item indices sorted by category
    cumulative: np.ndarray  # cumulative popularity in that order, from 0 to 1
    low: np.ndarray  # by category: where it begins and ends in `cumulative`
    high: np.ndarray
    last: np.ndarray  # by category: its last position in `by_category`
    preferred: np.ndarray  # (segments, categories a segment prefers) category indices
    favourites: np.ndarray  # (segments, favourites) item indices, the best first

    def draw(self, uniform: np.ndarray, category: np.ndarray | None = None) -> np.ndarray:
        """Return item indices by popularity, within a category where given."""
        if category is None:
            position = np.searchsorted(self.cumulative, uniform, side="right")
            return self.by_category[np.minimum(position, len(self.by_category) - 1)]
        low = self.low[category]
        position = np.searchsorted(self.cumulative, low + uniform * (self.high[category] - low), side="right")
        return self.by_category[np.minimum(position, self.last[category])]

    def draw_evenly(self, uniform: np.ndarray, category: np.ndarray) -> np.ndarray:
        """Return item indices within a category, all equally likely."""
        first = np.concatenate([[0], self.last[:-1] + 1])[category]
        return self.by_category[first + (uniform * (self.last[category] - first + 1)).astype(np.int64)]

    def available(self, item: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Return the items, or a substitute of the same category where an item is not sold at that time."""
        is_absent = (time < self.released[item]) | (time >= self.retired[item])
        return np.where(is_absent, self.substitute[item], item)


@dataclass(frozen=True)
class _Population:
    """Users; arrays by user index (0 .. users - 1)."""

    ids: pa.Array
    segment: np.ndarray  # 0 .. segments - 1, -1 for a bot
    segment_after: np.ndarray
    drifted_at: np.ndarray  # microseconds since 1970, or _NEVER
    is_bot: np.ndarray
    first_day: np.ndarray  # the user acts from this day of the period ...
    end_day: np.ndarray  # ... to before this one
    signed_up_at: np.ndarray
    clean_events: np.ndarray
    bot_events: np.ndarray
    burst_events: np.ndarray


@dataclass(frozen=True)
class _World:
    """Everything that the blocks share."""

    parameters: Parameters
    catalogue: _Catalogue
    population: _Population
    starts_at: int  # microseconds since 1970
    ends_at: int
    planted: dict[str, int]  # rows by reason, in all blocks together, without bots and bursts
    outliers: int

    def planted_between(self, low: float, high: float) -> dict[str, int]:
        """Return how many rows of each kind fall to the blocks between two shares of all clean events."""
        kinds = {**self.planted, "outlier_value": self.outliers}
        return {kind: round(rows * high) - round(rows * low) for kind, rows in kinds.items()}


@dataclass
class _Events:
    """Event columns of equal length. Null is _NO_TIME, NaN (value), _NO_QUANTITY, and -1 in the others."""

    user: np.ndarray
    item: np.ndarray
    type: np.ndarray
    time: np.ndarray
    value: np.ndarray
    quantity: np.ndarray
    session: np.ndarray  # user index * 1,000,000 + number of the session
    context: np.ndarray

    def take(self, rows: np.ndarray) -> "_Events":
        """Return a copy of some rows."""
        return _Events(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @staticmethod
    def concatenate(parts: list["_Events"]) -> "_Events":
        """Return the rows of all parts, one after the other."""
        names = _Events.__dataclass_fields__
        return _Events(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _random(seed: int, *path: int) -> np.random.Generator:
    """Return the generator of one part of the simulation: independent of all others and of their order."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))


def _microseconds(day: date) -> int:
    return (day - date(1970, 1, 1)).days * _DAY


def _numbered(prefix: str, numbers: np.ndarray, digits: int) -> pa.Array:
    """Return text ids such as u0000012: prefix and number with leading zeros."""
    text = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), digits, "0")
    return pc.binary_join_element_wise(prefix, text, "")


def _digits(count: int) -> int:
    return max(4, len(str(max(count - 1, 0))))


def _cumulative(weights: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Return cumulative shares; searchsorted of a uniform number gives an index with these weights."""
    total = np.cumsum(np.asarray(weights, dtype=np.float64), axis=-1)
    return total / total[..., -1:]


def _pick(rng: np.random.Generator, weights: np.ndarray | tuple[float, ...], rows: int) -> np.ndarray:
    """Return `rows` random indices with the given weights."""
    cumulative = _cumulative(weights)
    return np.minimum(np.searchsorted(cumulative, rng.random(rows), side="right"), len(cumulative) - 1)


def _preferred_categories(segments: int) -> np.ndarray:
    """Return the categories that each segment prefers: disjoint, of one theme each.

    Up to eight segments have a theme of their own, of which three categories are theirs and the fourth is
    anybody's. More segments share a theme in twos, two categories each.
    """
    if segments <= MIN_ITEMS // 4:
        return np.array([[segment * 4 + position for position in range(3)] for segment in range(segments)])
    return np.array(
        [
            [segment % 8 * 4 + segment // 8 * 2, segment % 8 * 4 + segment // 8 * 2 + 1]
            for segment in range(segments)
        ]
    )


def _catalogue(parameters: Parameters, starts_at: int, ends_at: int) -> _Catalogue:
    """Return the items with prices, life spans, popularity and what each segment likes."""
    rng = _random(parameters.seed, 0)
    items, segments = parameters.items, parameters.segments
    category = rng.permutation(np.arange(items) % MIN_ITEMS)
    price = np.maximum(
        np.round(np.array(_PRICES)[category] * np.exp(0.4 * rng.standard_normal(items)), 2), 0.5
    )

    # The most popular item of each category is always there, so that there is a substitute for any other.
    popularity = 1.0 / (rng.permutation(items) + 1 + 2.7)
    strongest_first = np.lexsort((-popularity, category))
    is_first = np.diff(category[strongest_first], prepend=-1) > 0
    is_permanent = np.zeros(items, dtype=bool)
    is_permanent[strongest_first[is_first]] = True
    kind = rng.random(items)
    is_new = ~is_permanent & (kind < 0.05)
    is_retired = ~is_permanent & (kind >= 0.05) & (kind < 0.10)
    is_permanent = ~is_new & ~is_retired

    period = ends_at - starts_at
    released = starts_at - (rng.random(items) * 3 * 365 * _DAY).astype(np.int64)
    released = np.where(
        is_new, starts_at + ((0.75 + 0.2 * rng.random(items)) * period).astype(np.int64), released
    )
    released = released // _DAY * _DAY
    retired = starts_at + ((0.3 + 0.6 * rng.random(items)) * period).astype(np.int64)
    retired = np.where(is_retired, retired, _NEVER)

    by_category = np.argsort(category, kind="stable")
    weights = popularity[by_category]
    cumulative = np.cumsum(weights) / weights.sum()
    last = np.searchsorted(category[by_category], np.arange(MIN_ITEMS), side="right") - 1
    high = cumulative[last]
    low = np.concatenate([[0.0], high[:-1]])

    permanent = by_category[is_permanent[by_category]]
    permanent_first = np.searchsorted(category[permanent], np.arange(MIN_ITEMS))
    permanent_count = np.bincount(category[permanent], minlength=MIN_ITEMS)
    offset = (rng.random(items) * permanent_count[category]).astype(np.int64)
    substitute = permanent[permanent_first[category] + offset]

    preferred = _preferred_categories(segments)
    liked = [rng.permutation(permanent[np.isin(category[permanent], row)]) for row in preferred]
    count = min(FAVOURITES, *(len(row) for row in liked))
    return _Catalogue(
        ids=_numbered("i", rng.permutation(items), _digits(items)),
        category=category,
        price=price,
        released=released,
        retired=retired,
        substitute=substitute,
        by_category=by_category,
        cumulative=cumulative,
        low=low,
        high=high,
        last=last,
        preferred=preferred,
        favourites=np.array([row[:count] for row in liked]),
    )


def _share_out(total: int, weights: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Return whole numbers that add up to `total`, about proportional to the weights, between least and most.

    Raises:
        ValueError: `total` is outside what least and most allow.
    """
    if total < least.sum():
        raise ValueError(
            f"Bots and dirt leave {max(total, 0):,} clean events, too few for the users, "
            f"who need {least.sum():,}: pass more --events, fewer --users or fewer --bots."
        )
    if total > most.sum():
        raise ValueError(
            f"{total:,} clean events are too many for so few users and days, which hold {most.sum():,}: "
            "pass more --users or more --days."
        )
    counts = least.copy()
    rest = total - int(least.sum())
    while rest > 0:
        room = most - counts
        open_weights = np.where(room > 0, weights, 0.0)
        wanted = np.cumsum(open_weights) / open_weights.sum() * rest
        added = np.minimum(np.diff(np.round(wanted), prepend=0).astype(np.int64), room)
        counts += added
        rest -= int(added.sum())
    return counts


def _population(parameters: Parameters, starts_at: int, clean_rows: Callable[[int], int]) -> _Population:
    """Return the users: taste, drift, active days, number of events.

    Args:
        parameters: Resolved parameters.
        starts_at: First moment of the period, microseconds.
        clean_rows: Number of clean events, given how many rows bots and bursts take.
    """
    rng = _random(parameters.seed, 1)
    users, segments, days = parameters.users, parameters.segments, parameters.days

    # Roles by shuffled position: bots, then users with 0, 1 and 3 events (a hundredth each), then all others.
    shuffled = rng.permutation(users)
    people = users - parameters.bots
    few = people // 100 if people >= 100 else min(1, people // 10)
    is_bot = np.zeros(users, dtype=bool)
    is_bot[shuffled[: parameters.bots]] = True
    exact = np.full(users, -1)
    for position, events in enumerate((0, 1, 3)):
        begin = parameters.bots + position * few
        exact[shuffled[begin : begin + few]] = events
    ordinary = shuffled[parameters.bots + 3 * few :]

    segment = _pick(rng, np.linspace(1.5, 0.75, segments), users)
    step = 1 + (rng.random(users) * (segments - 1)).astype(np.int64) if segments > 1 else 0
    drifters = ordinary[: round(parameters.drift_share * len(ordinary))] if segments > 1 else ordinary[:0]
    drifts = np.zeros(users, dtype=bool)
    drifts[drifters] = True
    segment_after = np.where(drifts, (segment + step) % segments, segment)
    jitter = (rng.random(users) - 0.5) * 0.1
    half_way = starts_at + ((0.5 + jitter) * days * _DAY).astype(np.int64) // _SECOND * _SECOND
    drifted_at = np.where(drifts, half_way, _NEVER)

    # Half of the users were there before, the others join; some stop. Who drifts is there all the time.
    is_early = (rng.random(users) < 0.5) | drifts
    first_day = np.where(is_early, 0, (rng.random(users) * 0.7 * days).astype(np.int64))
    stops = (rng.random(users) < 0.15) & ~drifts
    left = days - first_day
    length = np.where(stops, np.ceil((0.2 + 0.6 * rng.random(users)) * left), left).astype(np.int64)
    end_day = first_day + np.maximum(length, 1)
    before = (rng.random(users) * 2 * 365 * _DAY).astype(np.int64)
    signed_up_at = starts_at + first_day * _DAY - np.where(is_early, before, 0)
    signed_up_at = signed_up_at // _SECOND * _SECOND

    extra = rng.integers(100, 500, users)
    bot_events = np.where(is_bot, MAX_EVENTS_PER_DAY + extra, 0)
    burst_events = np.zeros(users, dtype=np.int64)
    if parameters.dirt_rate > 0 and len(ordinary):
        bursts = min(max(1, round(parameters.events / 250_000)), len(ordinary))
        burst_users = rng.choice(ordinary, bursts, replace=False)
        burst_events[burst_users] = MAX_EVENTS_PER_MINUTE + rng.integers(1, MAX_EVENTS_PER_MINUTE, bursts)

    weights = np.exp(rng.standard_normal(users))
    weights = np.where(drifts, np.maximum(weights, 1.0), weights)
    is_ordinary = ~is_bot & (exact < 0)
    least = np.where(is_ordinary, 4, np.maximum(exact, 0))
    most = np.where(is_ordinary, np.maximum(4, MAX_ORDINARY_EVENTS_PER_DAY * (end_day - first_day)), least)
    clean = _share_out(clean_rows(int(bot_events.sum() + burst_events.sum())), weights, least, most)
    return _Population(
        ids=_numbered("u", np.arange(users), _digits(users)),
        segment=np.where(is_bot, -1, segment),
        segment_after=np.where(is_bot, -1, segment_after),
        drifted_at=drifted_at,
        is_bot=is_bot,
        first_day=first_day,
        end_day=end_day,
        signed_up_at=signed_up_at,
        clean_events=clean,
        bot_events=bot_events,
        burst_events=burst_events,
    )


def _world(parameters: Parameters) -> _World:
    """Return users, items and how much dirt to plant, before a single event is made."""
    ends_at = _microseconds(parameters.end + timedelta(days=1))
    starts_at = ends_at - parameters.days * _DAY
    planted = {
        reason: round(parameters.events * parameters.dirt_rate * share)
        for reason, share in _DIRT_SHARES.items()
    }
    # Fewer than one row in 2,000, so that they do not move the 99th percentile that they are measured by.
    outliers = min(math.ceil(parameters.events * parameters.dirt_rate * 0.02), parameters.events // 2500)

    def clean_rows(automatic: int) -> int:
        return parameters.events - sum(planted.values()) - automatic

    population = _population(parameters, starts_at, clean_rows)
    catalogue = _catalogue(parameters, starts_at, ends_at)
    return _World(parameters, catalogue, population, starts_at, ends_at, planted, outliers)


def _sessions(
    world: _World, rng: np.random.Generator, owner: np.ndarray, position: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (session of each event, owner of each session, number of it for its owner, time of each event).

    `owner` is the user index of each event, ascending, and `position` its number for that user, from 0.
    """
    population, rows = world.population, len(owner)
    begins = (rng.random(rows) < 0.22) | (position % _MAX_SESSION_EVENTS == 0)
    session = np.cumsum(begins) - 1
    first = np.flatnonzero(begins)
    session_owner = owner[first]
    is_owners_first = position[first] == 0
    number = np.arange(len(first)) - np.flatnonzero(is_owners_first)[np.cumsum(is_owners_first) - 1]

    # Weekends count for more, and the shop grows a little.
    day = np.arange(world.parameters.days)
    weekday = (world.starts_at // _DAY + day + 3) % 7
    until = np.concatenate([[0.0], np.cumsum(np.where(weekday >= 5, 1.4, 1.0) * (1 + 0.3 * day / len(day)))])
    low, high = until[population.first_day[session_owner]], until[population.end_day[session_owner]]
    chosen_day = np.searchsorted(until, low + rng.random(len(first)) * (high - low), side="right") - 1
    chosen_day = np.minimum(chosen_day, population.end_day[session_owner] - 1)
    second = _pick(rng, np.array(_HOURS, dtype=np.float64), len(first)) * 3600 + rng.random(len(first)) * 3600
    started_at = world.starts_at + chosen_day * _DAY + (second * 1000).astype(np.int64) * 1000
    started_at -= np.where(started_at > world.ends_at - 45 * _MINUTE, 60 * _MINUTE, 0)

    elapsed = np.cumsum(rng.integers(*_SESSION_GAP_MS, rows))
    time = started_at[session] + (elapsed - elapsed[first][session]) * 1000
    return session, session_owner, number, time


def _tastes(
    world: _World, rng: np.random.Generator, first: int, last: int, owner: np.ndarray, time: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (item, whether it is of a category that the user's segment prefers) of each event."""
    catalogue, population = world.catalogue, world.population
    users, rows = last - first, len(owner)
    local = owner - first
    has_drifted = time >= population.drifted_at[owner]
    segment = np.where(has_drifted, population.segment_after[owner], population.segment[owner])

    own_weights = _cumulative(rng.gamma(1.5, size=(users, catalogue.preferred.shape[1])) + 0.02)

    def own_category(user: np.ndarray, segment_of_user: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        choice = np.zeros(len(user), dtype=np.int64)
        for column in range(own_weights.shape[1] - 1):
            choice += uniform > own_weights[user, column]
        return catalogue.preferred[segment_of_user, choice]

    # The repertoire of each user, before and after a drift: items of their categories that they come back to,
    # half of them by popularity and half just any, so that no two users are alike.
    slots = np.repeat(np.arange(users), _REPERTOIRE)
    by_popularity = np.tile(np.arange(_REPERTOIRE) % 2 == 0, users)
    uniform = rng.random((2, len(slots)))
    repertoire = []
    for tastes in (population.segment, population.segment_after):
        category = own_category(slots, np.maximum(tastes[first:last], 0)[slots], uniform[0])
        popular, any_item = catalogue.draw(uniform[1], category), catalogue.draw_evenly(uniform[1], category)
        repertoire.append(np.where(by_popularity, popular, any_item).reshape(users, _REPERTOIRE))

    source = _pick(rng, _SOURCE_SHARES, rows)
    uniform = rng.random(rows)
    item = np.empty(rows, dtype=np.int64)
    chosen = np.flatnonzero(source == 0)
    ranks = _cumulative(1.0 / (np.arange(catalogue.favourites.shape[1]) + 1.0))
    rank = np.minimum(np.searchsorted(ranks, uniform[chosen], side="right"), len(ranks) - 1)
    item[chosen] = catalogue.favourites[segment[chosen], rank]
    chosen = np.flatnonzero(source == 1)
    slot = (uniform[chosen] ** 1.5 * _REPERTOIRE).astype(np.int64)
    item[chosen] = np.where(
        has_drifted[chosen], repertoire[1][local[chosen], slot], repertoire[0][local[chosen], slot]
    )
    chosen = np.flatnonzero(source == 2)
    category = own_category(local[chosen], segment[chosen], rng.random(len(chosen)))
    item[chosen] = catalogue.draw(uniform[chosen], category)
    chosen = np.flatnonzero(source == 3)
    item[chosen] = catalogue.draw(uniform[chosen])

    return catalogue.available(item, time), source < 3


def _clean_events(world: _World, rng: np.random.Generator, first: int, last: int) -> _Events:
    """Return the clean events of the users first .. last - 1; no two rows are identical."""
    catalogue, population = world.catalogue, world.population
    counts = population.clean_events[first:last]
    rows = int(counts.sum())
    owner = np.repeat(np.arange(first, last), counts)
    position = np.arange(rows) - np.repeat(np.cumsum(counts) - counts, counts)
    session, session_owner, number, time = _sessions(world, rng, owner, position)
    item, is_preferred = _tastes(world, rng, first, last, owner, time)
    types = _pick(rng, tuple(_TYPE_SHARES.values()), rows)

    # The purchases of a session are lines of one order, at the time of the last one, with different items.
    bought = np.flatnonzero(types == _PURCHASE)
    line = session[bought] * len(catalogue.category) + item[bought]
    _, kept = np.unique(line, return_index=True)
    types[bought] = _VIEW
    bought = bought[np.sort(kept)]
    types[bought] = _PURCHASE
    order_time = np.zeros(len(session_owner), dtype=np.int64)
    order_time[session[bought]] = time[bought]
    time[bought] = order_time[session[bought]]
    quantity = np.full(rows, _NO_QUANTITY, dtype=np.int32)
    quantity[bought] = np.minimum(rng.geometric(0.75, len(bought)), 6)
    value = np.full(rows, np.nan)
    value[bought] = np.round(catalogue.price[item[bought]] * quantity[bought], 2)

    # Some purchases come back: the user's next row becomes the return, days later, and belongs to no session.
    before = bought[(bought + 1 < rows) & (rng.random(len(bought)) < 0.12)]
    back_at = time[before] + rng.integers(2, 21, len(before)) * _DAY
    fits = (owner[before + 1] == owner[before]) & (types[before + 1] == _VIEW) & (back_at < world.ends_at)
    before, back_at = before[fits], back_at[fits]
    returned = before + 1
    types[returned], item[returned], time[returned] = _RETURN, item[before], back_at
    value[returned], quantity[returned] = value[before], -quantity[before]

    watched = np.flatnonzero(types == _WATCH)
    value[watched] = np.round(np.exp(3.8 + 0.8 * rng.standard_normal(len(watched))), 1)
    rated = np.flatnonzero(types == _RATING)
    mean = np.where(is_preferred[rated], 4.4, 3.3)
    value[rated] = np.clip(np.round(mean + 0.9 * rng.standard_normal(len(rated))), 1, 5)

    habit = np.minimum((rng.random(last - first) * 3.6).astype(np.int64), 2)
    context = np.where(
        rng.random(len(session_owner)) < 0.8,
        habit[session_owner - first],
        rng.integers(0, len(_CONTEXTS), len(session_owner)),
    )[session]
    session_key = (session_owner * 1_000_000 + number)[session]
    session_key[returned] = -1
    return _Events(owner, item, types, time, value, quantity, session_key, context)


def _rapid(
    world: _World,
    rng: np.random.Generator,
    users: np.ndarray,
    counts: np.ndarray,
    starts: np.ndarray,
    spans: np.ndarray,
    types: tuple[int, ...],
) -> _Events:
    """Return `counts[n]` events of `users[n]`, evenly over `spans[n]` microseconds from `starts[n]`."""
    owner = np.repeat(users, counts)
    position = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    step = (spans // np.maximum(counts, 1)) // 1000 * 1000
    rows = len(owner)
    return _Events(
        user=owner,
        item=world.catalogue.draw(rng.random(rows)),
        type=np.asarray(types)[rng.integers(0, len(types), rows)],
        time=np.repeat(starts, counts) + position * np.repeat(step, counts),
        value=np.full(rows, np.nan),
        quantity=np.full(rows, _NO_QUANTITY, dtype=np.int32),
        session=np.full(rows, -1, dtype=np.int64),
        context=np.full(rows, 1, dtype=np.int64),
    )


def _automatic_events(
    world: _World, rng: np.random.Generator, first: int, last: int
) -> tuple[_Events, _Events]:
    """Return the rows of bots (one day each) and of bursts (one minute each) of users first .. last - 1."""
    population = world.population
    parts = []
    for counts, is_bot in ((population.bot_events, True), (population.burst_events, False)):
        users = np.flatnonzero(counts[first:last]) + first
        low, high = population.first_day[users], population.end_day[users]
        day = world.starts_at + (low + (rng.random(len(users)) * (high - low)).astype(np.int64)) * _DAY
        if is_bot:
            starts = day + rng.integers(10, 20, len(users)) * 60 * _MINUTE
            spans = np.full(len(users), 30 * _MINUTE)
        else:
            starts = day + _BURST_FROM + rng.integers(0, _BURST_MINUTES, len(users)) * _MINUTE
            spans = np.full(len(users), _MINUTE)
        types = (_VIEW, _CLICK) if is_bot else (_VIEW,)
        parts.append(_rapid(world, rng, users, counts[users], starts, spans, types))
    return parts[0], parts[1]


def _plant_outliers(rng: np.random.Generator, clean: _Events, wanted: int) -> None:
    """Multiply `wanted` clean values by 1,000: amounts and seconds in the upper quarter of their type."""
    eligible = []
    for kind in (_PURCHASE, _WATCH):
        rows = np.flatnonzero(clean.type == kind)
        if len(rows):
            eligible.append(rows[clean.value[rows] >= np.quantile(clean.value[rows], 0.75)])
    rows = np.concatenate(eligible) if eligible else np.empty(0, dtype=np.int64)
    if len(rows) < wanted:
        raise ValueError(
            f"{wanted} outliers do not fit in {len(clean.time):,} clean events: pass a lower --dirt-rate."
        )
    clean.value[rng.choice(rows, wanted, replace=False)] *= 1000


def _dirty_events(rng: np.random.Generator, clean: _Events, planted: dict[str, int]) -> dict[str, _Events]:
    """Return dirty rows by reason: copies of clean rows in which something is wrong.

    One in ten of the rows without a user lacks the time as well, and one in ten of unknown type has an
    impossible quantity: the first rule that fits gives the reason.
    """
    not_returned = np.flatnonzero(clean.type != _RETURN)
    bought = np.flatnonzero(clean.type == _PURCHASE)
    parts = {}
    for reason, rows in planted.items():
        if reason == "outlier_value":
            continue
        source = np.arange(len(clean.time)) if reason == "duplicate" else not_returned
        if reason == "non_positive_quantity" and len(bought):
            source = bought
        if rows and not len(source):
            raise ValueError(
                f"There is no clean event to make {rows} rows of dirt from: pass a lower --dirt-rate."
            )
        chosen = source[rng.integers(0, len(source), rows)] if rows else np.empty(0, dtype=np.int64)
        part = clean.take(chosen)
        every_tenth = np.arange(rows) % 10 == 9
        if reason == "missing_user_id":
            part.user[:] = -1
            part.time[every_tenth] = _NO_TIME
        elif reason == "missing_item_id":
            part.item[:] = -1
        elif reason == "missing_time":
            part.time[:] = _NO_TIME
        elif reason == "impossible_time":
            year_1970 = rng.integers(0, 300 * 86_400, rows) * _SECOND * (np.arange(rows) % 3 > 0)
            year_2099 = _microseconds(date(2099, 1, 1)) + rng.integers(0, 300 * 86_400, rows) * _SECOND
            part.time = np.where(np.arange(rows) % 2 == 0, year_1970, year_2099)
        elif reason == "unknown_event_type":
            part.type = len(_TYPE_SHARES) + rng.integers(0, len(_UNKNOWN_TYPES), rows)
            part.quantity[every_tenth] = -1
        elif reason == "non_positive_quantity":
            part.quantity = -rng.integers(0, 4, rows).astype(np.int32)
        parts[reason] = part
    return parts


def _events_table(world: _World, events: _Events) -> pa.Table:
    """Return the events in the columns of the input contract."""

    def coded(codes: np.ndarray, values: pa.Array) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), values)

    # Only the users of this block: the dictionary of all users would be written again and again.
    known = events.user[events.user >= 0]
    lowest = int(known.min()) if len(known) else 0
    highest = int(known.max()) + 1 if len(known) else 0
    users = np.where(events.user < 0, -1, events.user - lowest)
    sessions, session_code = np.unique(events.session, return_inverse=True)
    session_ids = pc.if_else(pa.array(sessions < 0), None, _numbered("s", sessions, 1))
    return pa.table(
        {
            "user_id": coded(users, world.population.ids.slice(lowest, highest - lowest)),
            "item_id": coded(events.item, world.catalogue.ids),
            "event_type": coded(events.type, pa.array(_TYPES)),
            "event_at": pa.array(events.time, mask=events.time == _NO_TIME).cast(pa.timestamp("us")),
            "value": pa.array(events.value, mask=np.isnan(events.value)),
            "quantity": pa.array(events.quantity, mask=events.quantity == _NO_QUANTITY),
            "session_id": session_ids.take(pa.array(session_code)),
            "context": coded(events.context, pa.array(_CONTEXTS)),
        }
    )


def _write(table: pa.Table, path: Path) -> None:
    """Write a parquet file of plain types: dictionaries are a matter of storage, not of the schema."""
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=1,
        row_group_size=250_000,
        store_schema=False,
        use_dictionary=[name for name in table.column_names if name not in ("event_at", "session_id")],
        dictionary_pagesize_limit=8_000_000,
    )


@dataclass(frozen=True)
class _Block:
    """Consecutive users whose events are made together, and which share of the planted rows falls to them."""

    number: int
    first: int
    last: int
    low: float
    high: float


def _blocks(world: _World) -> list[_Block]:
    """Return blocks of about BLOCK_EVENTS rows."""
    population = world.population
    rows = population.clean_events + population.bot_events + population.burst_events
    until = np.concatenate([[0], np.cumsum(rows)])
    count = max(1, math.ceil(until[-1] / BLOCK_EVENTS))
    edges = np.searchsorted(until, np.arange(1, count) * (until[-1] / count))
    edges = np.unique(np.concatenate([[0], edges, [len(rows)]]))
    clean_until = np.concatenate([[0], np.cumsum(population.clean_events)]) / max(
        population.clean_events.sum(), 1
    )
    return [
        _Block(number, int(first), int(last), float(clean_until[first]), float(clean_until[last]))
        for number, (first, last) in enumerate(pairwise(edges))
    ]


def _write_block(world: _World, block: _Block, path: Path) -> tuple[dict[str, int], pa.Table]:
    """Write the events of one block. Returns the planted rows by kind and some impressions."""
    rng = _random(world.parameters.seed, 2, block.number)
    clean = _clean_events(world, rng, block.first, block.last)
    bots, bursts = _automatic_events(world, rng, block.first, block.last)
    planted = world.planted_between(block.low, block.high)
    # Before the duplicates are copied: a copy of a row that then changes would be none.
    _plant_outliers(rng, clean, planted["outlier_value"])
    parts = _dirty_events(rng, clean, planted)
    impressions = _impressions(world, rng, clean, block)
    counted = {reason: len(part.time) for reason, part in parts.items()}
    counted |= {"bot": len(bots.time), "burst": len(bursts.time), "outlier_value": planted["outlier_value"]}
    events = _Events.concatenate([clean, bots, bursts, *parts.values()])
    # A log is in the order of time, and rows without a time come wherever they come: here first.
    events = events.take(np.argsort(events.time, kind="stable"))
    _write(_events_table(world, events), path)
    return counted, impressions


def _impressions(world: _World, rng: np.random.Generator, clean: _Events, block: _Block) -> pa.Table:
    """Return things shown to the users of a block: slates of five, of which they viewed one seconds later."""
    viewed = np.flatnonzero(clean.type == _VIEW)
    # A fiftieth of the views, and no more than 200,000 rows over all blocks.
    share = min(0.02, 40_000 / max(world.parameters.events, 1))
    viewed = viewed[rng.random(len(viewed)) < share]
    slates = len(viewed)
    slot = np.tile(np.arange(5), slates)
    source = np.repeat(viewed, 5)
    hit = np.repeat(rng.integers(0, 5, slates), 5) == slot
    shown = world.catalogue.available(world.catalogue.draw(rng.random(len(source))), clean.time[source])
    item = np.where(hit, clean.item[source], shown)
    shown_at = clean.time[source] - np.repeat(rng.integers(2, 20, slates), 5) * _SECOND
    placement = np.repeat(rng.integers(0, 3, slates), 5)
    strategy = np.repeat(rng.integers(0, 3, slates), 5)
    user = clean.user[source]

    def text(codes: np.ndarray, values: tuple[str, ...]) -> pa.Array:
        return pa.array(values).take(pa.array(codes))

    return pa.table(
        {
            "impression_id": _numbered("p", block.first * 1_000_000 + np.arange(len(source)), 1),
            "user_id": world.population.ids.take(pa.array(user)),
            "item_id": world.catalogue.ids.take(pa.array(item)),
            "shown_at": pa.array(shown_at).cast(pa.timestamp("us")),
            "placement": text(placement, ("home", "product_page", "e-mail")),
            "strategy": text(strategy, ("popular", "collaborative", "editorial")),
            "variant": text(user % 2, ("a", "b")),
            "position": pa.array(slot + 1, pa.int32()),
        }
    )


def _vocabulary(language: str) -> tuple[list[str], list[list[str]], list[str], list[list[str]]]:
    """Return (themes, words for titles by theme, categories, kinds of things by category)."""
    themes, words, categories, things = [], [], [], []
    for line in _VOCABULARY[language].split("\n"):
        name, _, entries = line.strip().partition(": ")
        if name.startswith("- "):
            categories.append(name[2:])
            things.append(entries.split(", "))
        elif name:
            themes.append(name)
            words.append(entries.split(", "))
    return themes, words, categories, things


def _items_table(world: _World) -> pa.Table:
    """Return the items in the columns of the input contract, with readable titles."""
    language, category = world.parameters.language, world.catalogue.category
    rng = _random(world.parameters.seed, 3)
    items = len(category)
    _, words, categories, things = _vocabulary(language)
    brands, series = _BRANDS[language].split(", "), _SERIES[language].split(", ")
    brand = [
        brands[code % len(brands)]
        for code in category * _BRANDS_A_CATEGORY + rng.integers(0, _BRANDS_A_CATEGORY, items)
    ]
    thing = [things[row][kind] for row, kind in zip(category, rng.integers(0, 4, items), strict=True)]
    word = [words[row // 4][kind] for row, kind in zip(category, rng.integers(0, 5, items), strict=True)]
    line = [series[kind] for kind in rng.integers(0, len(series), items)]
    number = rng.integers(1, 100, items).tolist()
    space = " " if language == "en" else ""
    titles = [
        f"{space.join(parts)} {digits}"
        for *parts, digits in zip(brand, line, word, thing, number, strict=True)
    ]
    return pa.table(
        {
            "item_id": world.catalogue.ids,
            "title": titles,
            "category": [categories[row] for row in category],
            "subcategory": thing,
            "brand": brand,
            "price": world.catalogue.price,
            "released_at": pa.array(world.catalogue.released).cast(pa.timestamp("us")),
            "is_active": world.catalogue.retired == _NEVER,
        }
    ).sort_by("item_id")


def _users_table(world: _World) -> pa.Table:
    """Return the users in the columns of the input contract; attributes hint at segments, some lack."""
    parameters, population = world.parameters, world.population
    rng = _random(parameters.seed, 4)
    users = len(population.segment)
    columns = {
        "user_id": population.ids,
        "signed_up_at": pa.array(population.signed_up_at).cast(pa.timestamp("us")),
    }
    for step, (name, values) in enumerate(_ATTRIBUTES[parameters.language].items()):
        typical = np.maximum(population.segment, 0) * (step + 1) % len(values)
        code = np.where(
            rng.random(users) < _TYPICAL_ATTRIBUTE_SHARE, typical, rng.integers(0, len(values), users)
        )
        is_missing = rng.random(users) < _MISSING_ATTRIBUTE_SHARE
        columns[name] = pa.DictionaryArray.from_arrays(
            pa.array(code.astype(np.int32), mask=is_missing), pa.array(values)
        )
    return pa.table(columns)


def _truth_users_table(world: _World) -> pa.Table:
    """Return what is true of each user. Segments count from 1; a bot has none."""
    population = world.population
    drifts = population.drifted_at != _NEVER
    return pa.table(
        {
            "user_id": population.ids,
            "segment": pa.array((population.segment + 1).astype(np.int32), mask=population.is_bot),
            "segment_after": pa.array(
                (population.segment_after + 1).astype(np.int32), mask=population.is_bot
            ),
            "drifted_at": pa.array(population.drifted_at, mask=~drifts).cast(pa.timestamp("us")),
            "is_bot": population.is_bot,
            "clean_events": population.clean_events,
        }
    )


def _favourites_table(world: _World) -> pa.Table:
    """Return the favourite items of each segment, rank 1 the best."""
    favourites = world.catalogue.favourites
    segments, count = favourites.shape
    return pa.table(
        {
            "segment": pa.array(np.repeat(np.arange(1, segments + 1), count).astype(np.int32)),
            "item_id": world.catalogue.ids.take(pa.array(favourites.ravel())),
            "rank": pa.array(np.tile(np.arange(1, count + 1), segments).astype(np.int32)),
        }
    )


def _truth_document(world: _World, is_complete: bool) -> dict:
    """Return parameters.json: how the folder was made, and which categories each planted segment prefers."""
    parameters, population = world.parameters, world.population
    themes, _, categories, _ = _vocabulary(parameters.language)
    segments = [
        {
            "segment": number + 1,
            "name": themes[row[0] // 4],
            "categories": [categories[category] for category in row],
            "users": int(np.sum(population.segment == number)),
        }
        for number, row in enumerate(world.catalogue.preferred.tolist())
    ]
    return {
        "made_by": MADE_BY,
        "is_complete": is_complete,
        "parameters": {**asdict(parameters), "end": parameters.end.isoformat()},
        "limits": {"max_events_per_day": MAX_EVENTS_PER_DAY, "max_events_per_minute": MAX_EVENTS_PER_MINUTE},
        "clean_events": int(population.clean_events.sum()),
        "drifted_users": int(np.sum(population.drifted_at != _NEVER)),
        "segments": segments,
    }


def _write_document(world: _World, out: Path, is_complete: bool) -> None:
    text = json.dumps(_truth_document(world, is_complete), indent=2, ensure_ascii=False)
    (out / "truth" / "parameters.json").write_text(text + "\n", encoding="utf-8")


def _prepare_folder(out: Path) -> None:
    """Empty a folder that an earlier simulation made, or make a new one.

    Raises:
        ValueError: The folder holds something else.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        try:
            document = json.loads((out / "truth" / "parameters.json").read_text(encoding="utf-8"))
            is_ours = document.get("made_by") == MADE_BY
        except (OSError, ValueError, AttributeError):
            is_ours = False
        if not is_ours:
            raise ValueError(
                f"{out} is not empty and was not made by a simulation (it has no truth/parameters.json): "
                "choose another --out or empty it."
            )
        for name in ("events", "truth"):
            shutil.rmtree(out / name, ignore_errors=True)
        for name in ("events", "items", "users", "impressions"):
            (out / f"{name}.parquet").unlink(missing_ok=True)
    (out / "truth").mkdir(parents=True, exist_ok=True)


def _in_order(world: _World, blocks: list[_Block], paths: list[Path], workers: int) -> Iterator[tuple]:
    """Write all blocks with some threads and yield their results in order, holding few at a time."""
    with ThreadPoolExecutor(workers) as pool:
        running: list[Future] = []
        for block, path in zip(blocks, paths, strict=True):
            running.append(pool.submit(_write_block, world, block, path))
            if len(running) > workers:
                yield running.pop(0).result()
        for future in running:
            yield future.result()


def simulate(
    out: Path | str, parameters: Parameters | None = None, workers: int | None = None
) -> dict[str, int]:
    """Write a simulated `files` input and the truth about it.

    Args:
        out: Folder to write: events.parquet (or events/*.parquet, one file a block), items.parquet,
            users.parquet, impressions.parquet and truth/. An earlier simulation in it is replaced.
        parameters: What to simulate; default `Parameters()`.
        workers: Threads, each of which needs about 350 MB; default one a core, at most two. Any number writes
            the same bytes.

    Returns:
        Planted rows by reason, as in truth/dirt.parquet.

    Raises:
        ValueError: Parameters do not fit together, or `out` holds something else.
    """
    parameters = (parameters or Parameters()).resolved()
    workers = workers or min(os.cpu_count() or 1, 2)
    out = Path(out)
    with stage("simulate: users and items", parameters.users + parameters.items):
        world = _world(parameters)
    _prepare_folder(out)
    # Written first, so that an interrupted simulation can be started again over its own remains.
    _write_document(world, out, is_complete=False)
    _write(_items_table(world), out / "items.parquet")
    _write(_users_table(world), out / "users.parquet")
    _write(_truth_users_table(world), out / "truth" / "users.parquet")
    _write(_favourites_table(world), out / "truth" / "favourites.parquet")

    blocks = _blocks(world)
    if len(blocks) == 1:
        paths = [out / "events.parquet"]
    else:
        (out / "events").mkdir()
        paths = [out / "events" / f"part-{block.number:05d}.parquet" for block in blocks]
    planted = dict.fromkeys((*REJECTION_REASONS, "outlier_value"), 0)
    impressions = []
    with stage("simulate: events", parameters.events):
        ticker = Ticker("simulate: blocks", len(blocks))
        for done, (counted, shown) in enumerate(_in_order(world, blocks, paths, workers), start=1):
            for reason, rows in counted.items():
                planted[reason] += rows
            impressions.append(shown)
            ticker.update(done)
    _write(pa.concat_tables(impressions), out / "impressions.parquet")
    dirt = pa.table(
        {
            "reason": list(planted),
            "rows": list(planted.values()),
            "effect": ["rejected" if reason in REJECTION_REASONS else "capped" for reason in planted],
        }
    )
    _write(dirt, out / "truth" / "dirt.parquet")
    _write_document(world, out, is_complete=True)
    return planted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `manyfaces simulate`."""
    default = Parameters()
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write; an earlier simulation is replaced"
    )
    parser.add_argument("--events", type=int, default=default.events, help="rows of the events (%(default)s)")
    parser.add_argument("--users", type=int, help="users, with bots and those without events (events / 100)")
    parser.add_argument("--items", type=int, help="items (events / 1000, 50 to 100000)")
    parser.add_argument(
        "--segments", type=int, default=default.segments, help="planted segments (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=default.seed, help="same seed, same files (%(default)s)")
    parser.add_argument("--days", type=int, default=default.days, help="length of the period (%(default)s)")
    parser.add_argument("--end", type=date.fromisoformat, default=default.end, help="last day (%(default)s)")
    parser.add_argument(
        "--dirt-rate", type=float, default=default.dirt_rate, help="share of dirty rows (%(default)s)"
    )
    parser.add_argument("--bots", type=int, help="users that are bots (events / 250000)")
    parser.add_argument(
        "--drift-share",
        type=float,
        default=default.drift_share,
        help="share of the users who change their segment half-way (%(default)s)",
    )
    parser.add_argument(
        "--language",
        choices=sorted(_BRANDS),
        default=default.language,
        help="of titles and categories (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Run `manyfaces simulate` with parsed options and return the exit code.

    Raises:
        UserError: Options do not fit together, or the folder holds something else.
    """
    names = Parameters.__dataclass_fields__
    try:
        planted = simulate(args.out, Parameters(**{name: getattr(args, name) for name in names}))
    except ValueError as error:
        raise UserError(str(error)) from error
    counted = ", ".join(f"{rows:,} {reason}" for reason, rows in planted.items() if rows)
    print(f"{args.events:,} events in {args.out}; planted rows: {counted or 'none'}.")
    print(f"Build on it with: manyfaces build --vars '{{input: files, files_dir: {args.out}}}'")
    return 0
