"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 48, RIGHT = 14, TOP = 14, BOTTOM = 44, HEIGHT = 460;
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const state = { source: data.sources[0].name, cadence: null, population: null };
  const hidden = new Set();

  const make = (name, attributes, parent) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (parent) parent.append(node);
    return node;
  };
  const element = (name, className, text, parent) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  };
  const shown = (value, digits = 2) =>
    value === null || value === undefined ? "–" : value.toFixed(digits);

  // Colours by method, the same wherever it appears; bright enough on both grounds.
  const FIXED = {
    peakcast: "var(--ours)", peakcast_one_level: "#63b58c", lightgbm: "var(--learned)",
    lightgbm_tracker: "#6fb6c9", lightgbm_sized: "#8c6ff7", vpa: "#d64545", oracle: "var(--soft)", least_possible: "#9aa0a6",
  };
  const OTHERS = ["#c9901a", "#d9652f", "#9a8f80", "#b07aa1", "#7d9b3d", "#5b8def", "#b5655f",
    "#4d9f94", "#a9853f", "#8f7cc0", "#cf6f9d", "#6f7f8f", "#84a59d", "#bc8034"];
  const colours = {};
  let next = 0;
  for (const row of data.rows) {
    if (!(row.method in colours)) {
      colours[row.method] = FIXED[row.method] || OTHERS[next++ % OTHERS.length];
    }
    if (!row.lead) hidden.add(row.method);
  }
  for (const row of data.rows) if (row.lead) hidden.delete(row.method);

  const here = () => data.rows.filter((row) => row.source === state.source);
  const chosen = () => here().filter(
    (row) => row.cadence === state.cadence && row.population === state.population,
  );
  const unique = (values) => [...new Set(values)];
  const isMemory = () => state.cadence.startsWith("memory");
  const scale = () => (isMemory() ? data.memory : data.cpu);

  const choices = (id, names, key, words) => {
    const box = byId(id);
    box.replaceChildren();
    for (const name of names) {
      const button = element("button", "", words ? words(name) : name, box);
      button.type = "button";
      button.setAttribute("aria-pressed", String(name === state[key]));
      button.addEventListener("click", () => { state[key] = name; draw(); });
    }
  };

  const path = (points, x, y) => {
    let line = "", pen = false;
    points.forEach((value, place) => {
      if (value === null) { pen = false; return; }
      line += `${pen ? "L" : "M"}${x(place).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = true;
    });
    return line;
  };

  const drawChart = (rows) => {
    const box = byId("chart");
    box.replaceChildren();
    const { rates, targets, name } = scale();
    const width = Math.max(box.clientWidth, 280);
    const svg = make("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" });
    svg.setAttribute("aria-label", `Frontiers of ${state.source}, ${state.cadence}`);
    box.append(svg);
    const visible = rows.filter((row) => !hidden.has(row.method));
    const tops = visible.filter((row) => row.method !== "vpa")
      .flatMap((row) => row.ratio).filter((value) => value !== null);
    const top = Math.min(Math.max(1.6, ...tops) * 1.12, 14);
    const low = Math.log(rates[0]), high = Math.log(rates[rates.length - 1]);
    const atRate = (rate) =>
      LEFT + ((Math.log(rate) - low) / (high - low)) * (width - LEFT - RIGHT);
    const x = (place) => atRate(rates[place]);
    const y = (value) => TOP + ((top - value) / (top - 0.9)) * (HEIGHT - TOP - BOTTOM);
    const step = top > 8 ? 2 : top > 4 ? 1 : top > 2.4 ? 0.5 : 0.2;
    for (let value = 1; value <= top; value += step) {
      make("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }, svg);
      const label = make("text", { x: LEFT - 7, y: y(value) + 4, "text-anchor": "end" }, svg);
      label.textContent = `${Number(value.toFixed(1))}×`;
    }
    for (const target of targets) {
      make("line", {
        class: "target", x1: atRate(target), x2: atRate(target), y1: TOP, y2: HEIGHT - BOTTOM,
      }, svg);
      const label = make("text", {
        x: atRate(target), y: HEIGHT - BOTTOM + 17, "text-anchor": "middle",
      }, svg);
      label.textContent = isMemory() ? String(target) : `${Number((100 * target).toPrecision(3))} %`;
    }
    const caption = make("text", {
      x: (LEFT + width - RIGHT) / 2, y: HEIGHT - 8, "text-anchor": "middle",
    }, svg);
    caption.textContent = name;
    const clip = make("clipPath", { id: "inside" }, make("defs", {}, svg));
    make("rect", { x: LEFT, y: TOP, width: width - LEFT - RIGHT, height: HEIGHT - TOP - BOTTOM },
      clip);
    const lines = make("g", { "clip-path": "url(#inside)" }, svg);
    const paths = new Map();
    for (const row of [...visible].reverse()) {
      const node = make("path", { d: path(row.curve, x, y) }, lines);
      node.style.stroke = colours[row.method];
      if (row.kind === "ours") node.classList.add("ours");
      if (["ablation", "oracle", "bound"].includes(row.kind)) node.classList.add("dashed");
      paths.set(row, node);
    }
    const dot = make("circle", { r: 5, visibility: "hidden" }, svg);
    const tip = element("div", "tip", undefined, box.parentElement);
    tip.hidden = true;
    const leave = () => {
      tip.hidden = true;
      dot.setAttribute("visibility", "hidden");
      for (const node of paths.values()) node.classList.remove("faded");
    };
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("pointermove", (event) => {
      const frame = svg.getBoundingClientRect();
      const px = ((event.clientX - frame.left) / frame.width) * width;
      const py = ((event.clientY - frame.top) / frame.height) * HEIGHT;
      let best = null;
      for (const row of visible) {
        row.curve.forEach((value, place) => {
          if (value === null || value > top) return;
          const far = (x(place) - px) ** 2 + (y(value) - py) ** 2;
          if (!best || far < best.far) best = { row, place, value, far };
        });
      }
      if (!best || best.far > 60 ** 2) { leave(); return; }
      const { row, place, value } = best;
      for (const [other, node] of paths) node.classList.toggle("faded", other !== row);
      dot.setAttribute("visibility", "visible");
      dot.setAttribute("cx", x(place));
      dot.setAttribute("cy", y(value));
      dot.style.fill = colours[row.method];
      tip.replaceChildren();
      element("b", "", row.title, tip);
      const rate = isMemory()
        ? `${rates[place].toPrecision(2)} OOM-equivalents per entity-week`
        : `${(100 * rates[place]).toPrecision(2)} % violated`;
      element("div", "", `${value.toFixed(2)}× at ${rate}`, tip);
      element("div", "", `${row.knobs[row.knob[place]]}, × ${shown(row.multiplier[place])}`, tip);
      tip.hidden = false;
      const card = box.parentElement.getBoundingClientRect();
      const left = event.clientX - card.left + 16;
      tip.style.left = `${Math.min(left, card.width - tip.offsetWidth - 8)}px`;
      tip.style.top = `${event.clientY - card.top + 14}px`;
    });
  };

  const drawLegend = (rows) => {
    const box = byId("legend");
    box.replaceChildren();
    const place = scale().headline;
    for (const row of rows) {
      const button = element("button", "", undefined, box);
      button.type = "button";
      button.setAttribute("aria-pressed", String(!hidden.has(row.method)));
      element("i", "", undefined, button).style.borderColor = colours[row.method];
      element("span", "", row.title, button);
      element("b", "", shown(row.ratio[place]), button);
      button.addEventListener("click", () => {
        if (!hidden.delete(row.method)) hidden.add(row.method);
        draw();
      });
    }
  };

  const drawNumbers = (rows) => {
    const { targets, headline } = scale();
    const table = byId("numbers");
    table.replaceChildren();
    const head = element("tr", "", undefined, element("thead", "", undefined, table));
    const heads = ["Method", ...targets.map((target) => (isMemory()
      ? `${target} / week` : `${Number((100 * target).toPrecision(3))} %`)), "Median"];
    heads.push(...(isMemory() ? [] : ["Depth", "Changes", "Gap closed"]), "Setting");
    for (const text of heads) element("th", "", text, head);
    const body = element("tbody", "", undefined, table);
    for (const row of rows) {
      const line = element("tr", row.kind, undefined, body);
      element("td", "", row.title, line);
      row.ratio.forEach((value, place) => {
        const cell = element("td", "", shown(value), line);
        const bounds = row.interval[place];
        if (bounds) element("small", "", ` [${shown(bounds[0])}, ${shown(bounds[1])}]`, cell);
      });
      element("td", "", shown(row.median[headline]), line);
      if (!isMemory()) {
        element("td", "", row.depth === null ? "–" : `${(100 * row.depth).toFixed(2)} %`, line);
        element("td", "", shown(row.changes, 1), line);
        element("td", "", row.gap === null ? "–" : `${Math.round(100 * row.gap)} %`, line);
      }
      const at = row.setting ? `${row.setting} × ${shown(row.factor)}` : "";
      element("td", "", at, line);
    }
  };

  const draw = () => {
    const source = data.sources.find((each) => each.name === state.source);
    const cadences = unique(here().map((row) => row.cadence));
    if (!cadences.includes(state.cadence)) state.cadence = cadences[0];
    const populations = unique(
      here().filter((row) => row.cadence === state.cadence).map((row) => row.population),
    );
    if (!populations.includes(state.population)) state.population = populations[0];
    choices("sources", data.sources.map((each) => each.name), "source");
    choices("cadences", cadences, "cadence");
    choices("populations", populations, "population",
      (name) => `${name} (${source.populations[name]})`);
    byId("about").textContent = source.about;
    const rows = chosen();
    drawChart(rows);
    drawLegend(rows);
    drawNumbers(rows);
  };

  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = root.dataset.theme || (dark ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });
  addEventListener("resize", () => drawChart(chosen()));
  draw();
})();
