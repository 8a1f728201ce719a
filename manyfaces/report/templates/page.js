"use strict";
(() => {
  const page = document.documentElement;
  const data = JSON.parse(document.getElementById("drawn-from").textContent);
  const views = {};
  const drawing = {};

  // Colours are CSS variables, so charts follow without being drawn again.
  const colours = document.getElementById("colours");
  const remembered = (() => { try { return localStorage.getItem("manyfaces-colours"); } catch { return null; } })();
  const paint = (choice) => {
    if (choice === "auto") delete page.dataset.colours; else page.dataset.colours = choice;
  };
  if (remembered === "light" || remembered === "dark") { colours.value = remembered; paint(remembered); }
  colours.addEventListener("change", () => {
    paint(colours.value);
    try { localStorage.setItem("manyfaces-colours", colours.value); } catch { /* private windows remember nothing */ }
  });

  const draw = async (place) => {
    const specification = data.charts[place.dataset.chart];
    const used = JSON.stringify(specification);
    const datasets = { ...specification.datasets };
    for (const [name, rows] of Object.entries(data.rows)) {
      // Vega adds a key to every row that it is given, so each chart gets rows of its own.
      if (used.includes(`"name":"${name}"`)) datasets[name] = rows.map((row) => ({ ...row }));
    }
    try {
      const result = await vegaEmbed(place, { ...specification, datasets }, {
        renderer: "svg", actions: false, ast: true, tooltip: { theme: "custom" },
      });
      views[place.dataset.chart] = result.view;
      const drawn = place.querySelector("svg");
      drawn.setAttribute("role", "img");
      drawn.setAttribute("aria-label", place.dataset.description);
    } catch (error) {
      place.dataset.failed = "";
      console.error(place.dataset.chart, error);
    }
  };

  // Charts that are not on view have no width yet; they are drawn once they are.
  const drawAll = async () => {
    const places = [...document.querySelectorAll(".chart")].filter((place) => place.offsetParent !== null);
    await Promise.all(places.map((place) => (drawing[place.dataset.chart] ??= draw(place))));
    page.dataset.drawn = Object.keys(views).length;
  };

  const segmentation = document.getElementById("segmentation");
  const choose = (key) => {
    for (const panel of document.querySelectorAll("[data-segmentation]")) {
      panel.hidden = panel.dataset.segmentation !== key;
    }
    delete page.dataset.drawn;
    return drawAll();
  };
  segmentation?.addEventListener("change", () => choose(segmentation.value));

  // A row of the sizes picks out its users on the map.
  const pick = (row, place) => views[row.dataset.map]?.signal("chosen", place).runAsync();
  for (const row of document.querySelectorAll("tr[data-map]")) {
    for (const begin of ["pointerenter", "focusin"]) row.addEventListener(begin, () => pick(row, Number(row.dataset.place)));
    for (const end of ["pointerleave", "focusout"]) row.addEventListener(end, () => pick(row, 0));
  }

  choose(segmentation ? segmentation.value : "s0");
})();
