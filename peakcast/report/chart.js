"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const NAMES = { cpu: "CPU", memory: "memory", net_rx: "net in", net_tx: "net out" };
  const LEFT = 54, RIGHT = 10, TOP = 14, BOTTOM = 22, HEIGHT = 220;
  const NEAR_BEFORE = 12 * 3600, NEAR_AFTER = 24 * 3600;
  const samples = JSON.parse(document.getElementById("data").textContent);
  const shown = new Set(["usage", "next", "band", "ahead", "target", "rule"]);
  let range = "near";
  const charts = [];

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
  const short = (value) => String(Number(value.toPrecision(3)));
  const amount = (resource, value) => {
    if (value === null || value === undefined) return "–";
    if (resource === "cpu") {
      return value < 1 ? `${Number((1000 * value).toPrecision(3))}m` : short(value);
    }
    const binary = resource === "memory";
    const units = binary ? ["B", "KiB", "MiB", "GiB", "TiB"] : ["B/s", "kB/s", "MB/s", "GB/s"];
    let place = 0;
    for (const base = binary ? 1024 : 1000; value >= base && place < units.length - 1; place++) {
      value /= base;
    }
    return `${short(value)} ${units[place]}`;
  };
  const stamp = (seconds, withDay = true) => {
    const iso = new Date(1000 * seconds).toISOString();
    return withDay ? `${iso.slice(0, 10)} ${iso.slice(11, 16)}` : iso.slice(11, 16);
  };
  const day = (seconds) => new Date(1000 * seconds).toLocaleDateString("en-GB", {
    weekday: "short", day: "numeric", month: "short", timeZone: "UTC",
  });

  // Ticks at round numbers: 1, 2, 2.5 or 5 times a power of the base that the unit counts in.
  const ticks = (top, resource) => {
    const unit = resource === "memory" && top > 4096 ? 1024 ** Math.floor(Math.log2(top) / 10) : 1;
    const rough = top / unit / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough) * unit;
    const found = [];
    for (let value = 0; value <= top * 1.0001; value += step) found.push(value);
    return found;
  };

  class Chart {
    constructor(card, sample, series, resource) {
      Object.assign(this, { card, sample, series, resource });
      this.svg = make("svg", { role: "img", tabindex: 0 });
      card.append(this.svg);
      this.tip = null;
      this.svg.addEventListener("pointermove", (event) => this.point(this.timeAt(event)));
      this.svg.addEventListener("pointerleave", () => this.leave());
      this.svg.addEventListener("blur", () => this.leave());
      this.svg.addEventListener("keydown", (event) => {
        const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!move) return;
        event.preventDefault();
        this.point((this.at ?? sample.now) + move * sample.step * (event.shiftKey ? 12 : 1));
      });
    }

    use(series, resource) {
      Object.assign(this, { series, resource });
      this.draw();
    }

    get end() { return this.sample.first + this.sample.step * (this.series.usage.length - 1); }

    span() {
      const { first, now } = this.sample;
      if (range === "all") return [first, this.end];
      return [Math.max(first, now - NEAR_BEFORE), Math.min(this.end, now + NEAR_AFTER)];
    }

    // Usage is the maximum of the bin that ends at its time.
    usageAt(time) { return this.series.usage[Math.round((time - this.sample.first) / this.sample.step)]; }

    // What was issued at an hour holds from there to the next.
    hourOf(time) { return Math.ceil((time - this.series.issued) / this.sample.hour) - 1; }

    horizonOf(time) {
      const ahead = time - this.sample.now;
      return ahead <= 0 ? -1 : this.sample.horizons.findIndex((horizon) => ahead <= horizon);
    }

    draw() {
      const { svg, series, sample } = this;
      const width = Math.max(this.card.clientWidth - 24, 280);
      svg.replaceChildren();
      svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      svg.setAttribute("aria-label", `${NAMES[this.resource]} of ${this.card.dataset.name}`);
      const [from, to] = this.span();
      const x = (time) => LEFT + (time - from) / (to - from) * (width - LEFT - RIGHT);
      const top = this.top(from, to);
      const y = (value) => TOP + (1 - Math.min(value, 1.02 * top) / top) * (HEIGHT - TOP - BOTTOM);
      Object.assign(this, { x, y, from, to, width });
      const future = Math.max(x(sample.now), LEFT);
      make("rect", { class: "future", x: future, y: TOP, width: Math.max(width - RIGHT - future, 0),
        height: HEIGHT - TOP - BOTTOM }, svg);
      this.axes(top);
      this.layers();
      make("line", { class: "now", x1: x(sample.now), x2: x(sample.now), y1: TOP - 4, y2: HEIGHT - BOTTOM }, svg);
      make("text", { x: x(sample.now), y: 9, "text-anchor": "middle" }, svg)
        .textContent = `decision, ${stamp(sample.now, false)}`;
      this.hair = make("line", { class: "hair", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" }, svg);
    }

    // The highest of what matters; the band's far tail may be cut rather than flatten the rest.
    top(from, to) {
      const { series, sample } = this;
      const inside = (first, step) => (_, place) => {
        const time = first + step * place;
        return time >= from - step && time <= to;
      };
      const highest = (values, keep) => Math.max(0, ...(values ?? []).filter(keep).map((v) => v ?? 0));
      const hours = inside(series.issued, sample.hour);
      const firm = Math.max(
        highest(series.usage, inside(sample.first, sample.step)),
        highest(series.rule, hours), highest(series.target, hours),
      );
      const soft = Math.max(highest(series.band[2], hours), ...(series.ahead ?? [[0]]).map((q) => q[5] ?? 0));
      const top = Math.max(firm, Math.min(soft, 1.5 * firm));
      return top > 0 ? 1.06 * top : 1;
    }

    axes(top) {
      const { svg, x, y, from, to, width } = this;
      for (const value of ticks(top, this.resource)) {
        make("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }, svg);
        make("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, svg)
          .textContent = value === 0 ? "0" : amount(this.resource, value);
      }
      const step = to - from > 2.5 * 86400 ? 86400 : 6 * 3600;
      for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
        const midnight = time % 86400 === 0;
        make("line", { class: "axis", x1: x(time), x2: x(time), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }, svg);
        make("text", { x: x(time), y: HEIGHT - 6, "text-anchor": "middle" }, svg)
          .textContent = midnight ? day(time) : stamp(time, false);
      }
    }

    layers() {
      const { series, sample, from, to } = this;
      const hours = series.band[0].map((_, place) => series.issued + sample.hour * place);
      const steps = (values, times, width) => values.flatMap((value, place) => {
        const begin = Math.max(times[place], from), stop = Math.min(times[place] + width, to);
        return begin >= stop ? [] : [[begin, value], [stop, value]];
      });
      if (shown.has("band")) {
        this.area("band", steps(series.band[0], hours, sample.hour), steps(series.band[2], hours, sample.hour));
        this.line("bandline", steps(series.band[1], hours, sample.hour));
      }
      if (shown.has("ahead") && series.ahead) {
        const edge = (level) => sample.horizons.flatMap((horizon, place) => {
          const begin = sample.now + (place ? sample.horizons[place - 1] : 0);
          const stop = Math.min(sample.now + horizon, to);
          return begin >= stop ? [] : [[begin, series.ahead[place][level]], [stop, series.ahead[place][level]]];
        });
        this.area("ahead", edge(0), edge(5));
        this.line("aheadline", edge(3));
      }
      if (shown.has("rule") && series.rule) this.line("rule", steps(series.rule, hours, sample.hour));
      if (shown.has("mean") && series.mean) {
        const first = Math.floor(sample.now / 3600) * 3600;
        this.line("mean", steps(series.mean, series.mean.map((_, h) => first + 3600 * h), 3600));
      }
      const usage = series.usage.map((value, place) => [sample.first + sample.step * place, value])
        .filter(([time]) => time >= from && time <= to);
      if (shown.has("usage")) this.line("usage", usage.filter(([time]) => time <= sample.now));
      if (shown.has("next")) this.line("next", usage.filter(([time]) => time >= sample.now));
      if (shown.has("target") && series.target) this.line("target", steps(series.target, hours, sample.hour));
    }

    line(className, points) {
      const { x, y } = this;
      let path = "", pen = false;
      for (const [time, value] of points) {
        if (value === null || value === undefined) { pen = false; continue; }
        path += `${pen ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = true;
      }
      if (path) make("path", { class: className, d: path }, this.svg);
    }

    area(className, below, above) {
      const { x, y } = this;
      const place = ([time, value]) => `${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
      const pairs = below.map((low, at) => [low, above[at]]);
      for (let at = 0; at < pairs.length;) {
        let stop = at;
        while (stop < pairs.length && pairs[stop][0][1] !== null && pairs[stop][1][1] !== null) stop++;
        if (stop > at) {
          const run = pairs.slice(at, stop);
          const around = [...run.map(([low]) => place(low)), ...run.reverse().map(([, high]) => place(high))];
          make("path", { class: className, d: `M${around.join("L")}Z` }, this.svg);
        }
        at = stop + 1;
      }
    }

    timeAt(event) {
      const box = this.svg.getBoundingClientRect();
      const place = (event.clientX - box.left) / box.width * this.width;
      return this.from + (place - LEFT) / (this.width - LEFT - RIGHT) * (this.to - this.from);
    }

    point(time) {
      if (!this.x) return;
      const { sample, series, resource } = this;
      const snapped = sample.first + sample.step * Math.round((time - sample.first) / sample.step);
      this.at = Math.min(Math.max(snapped, this.from), this.to);
      const hour = this.hourOf(this.at), horizon = this.horizonOf(this.at);
      const level = (name) => sample.levels.indexOf(name);
      const rows = [[this.at > sample.now ? "peak, as it happened" : "peak", this.usageAt(this.at)]];
      if (series.band[0][hour] !== undefined) {
        sample.band.forEach((of, place) => rows.push([`hour ahead, P${100 * of}`, series.band[place][hour]]));
      }
      if (horizon >= 0 && series.ahead) {
        for (const of of [0.5, 0.95, 0.99]) {
          rows.push([`until +${sample.horizons[horizon] / 3600 >= 1 ? `${sample.horizons[horizon] / 3600} h`
            : `${sample.horizons[horizon] / 60} min`}, P${100 * of}`, series.ahead[horizon][level(of)]]);
        }
      }
      if (series.target && series.target[hour] !== null && series.target[hour] !== undefined) {
        rows.push(["request: peakcast", series.target[hour]]);
      }
      if (series.rule) rows.push([`request: VPA rule`, series.rule[hour]]);
      this.tip ??= element("div", "tip", undefined, this.card);
      this.tip.replaceChildren();
      element("b", "", `${stamp(this.at)} UTC`, this.tip);
      for (const [name, value] of rows) {
        const row = element("div", "", undefined, this.tip);
        element("span", "", name, row);
        element("span", "", amount(resource, value), row);
      }
      const x = this.x(this.at);
      for (const [key, value] of [["x1", x], ["x2", x], ["visibility", "visible"]]) this.hair.setAttribute(key, value);
      const right = x > this.width / 2;
      this.tip.style.top = "44px";
      this.tip.style.left = right ? "auto" : `${x + 26}px`;
      this.tip.style.right = right ? `${this.width - x + 26}px` : "auto";
    }

    leave() {
      this.tip?.remove();
      this.tip = null;
      this.hair?.setAttribute("visibility", "hidden");
    }
  }

  const redraw = () => charts.forEach((chart) => chart.draw());

  const holder = document.getElementById("charts");
  for (const sample of samples) {
    const group = element("section", "group", undefined, holder);
    const heading = element("h3", "", `${sample.namespace} `, group);
    element("small", "", sample.title, heading);
    const grid = element("div", "grid", undefined, group);
    for (const workload of sample.workloads) {
      const card = element("article", "card", undefined, grid);
      card.dataset.name = workload.name;
      const title = element("h4", "", workload.name, card);
      element("span", "", workload.container, title);
      const kinds = Object.keys(workload.resources);
      if (!kinds.length) continue;
      const chart = new Chart(card, sample, workload.resources[kinds[0]], kinds[0]);
      if (kinds.length > 1) {
        for (const kind of kinds) {
          const tab = element("button", kind === kinds[0] ? "on" : "", NAMES[kind], title);
          tab.type = "button";
          tab.addEventListener("click", () => {
            title.querySelectorAll("button").forEach((other) => other.classList.toggle("on", other === tab));
            chart.use(workload.resources[kind], kind);
          });
        }
      }
      charts.push(chart);
    }
  }

  for (const button of document.querySelectorAll("[data-layer]")) {
    button.setAttribute("aria-pressed", button.classList.contains("on"));
    button.addEventListener("click", () => {
      const on = button.classList.toggle("on");
      button.setAttribute("aria-pressed", on);
      shown[on ? "add" : "delete"](button.dataset.layer);
      redraw();
    });
  }
  for (const button of document.querySelectorAll("[data-range]")) {
    button.addEventListener("click", () => {
      range = button.dataset.range;
      document.querySelectorAll("[data-range]").forEach((other) => other.classList.toggle("on", other === button));
      redraw();
    });
  }
  redraw();
  let waiting;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 120); });
  document.getElementById("theme").addEventListener("click", () => {
    const dark = document.documentElement.dataset.theme
      ? document.documentElement.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    document.documentElement.dataset.theme = dark ? "light" : "dark";
  });
})();
