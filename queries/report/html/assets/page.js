"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const two = (number) => String(number).padStart(2, "0");
  const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
  let isLocal = false;

  // ---- times -------------------------------------------------------------------------------------------------
  // A date whose UTC fields are those of the chosen zone.
  const zoned = (seconds) => {
    const date = new Date(seconds * 1000);
    return isLocal ? new Date(date.getTime() - date.getTimezoneOffset() * 60000) : date;
  };
  const clock = (date) => `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  const day = (date) => `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
  const whole = (seconds) => {
    const date = zoned(seconds);
    return `${day(date)} ${clock(date)}:${two(date.getUTCSeconds())}`;
  };

  // ---- amounts, as queries/report/formatting.py writes them ----------------------------------------------------
  const grouped = (value, digits) => value.toLocaleString("en-US", { maximumFractionDigits: digits });
  const plain = (value) => {
    const size = Math.abs(value);
    return grouped(value, size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 4);
  };
  // Of each unit: from which value on it is taken, how much it is, its name.
  const scaled = (value, steps) => {
    const [, size, name] = steps.find(([from]) => Math.abs(value) >= from) || steps[steps.length - 1];
    return `${plain(value / size)} ${name}`;
  };
  const SPANS = [[864e5, 864e5, "d"], [36e5, 36e5, "h"], [12e4, 6e4, "min"], [1e3, 1e3, "s"], [0, 1, "ms"]];
  const SIZES = [[1e12, 1e12, "TB"], [1e9, 1e9, "GB"], [1e6, 1e6, "MB"], [1e3, 1e3, "kB"], [0, 1, "bytes"]];
  const amount = (value, unit) => {
    if (value == null) return "–";
    if (unit === "ms") return scaled(value, SPANS);
    if (unit === "s" || unit === "seconds") return scaled(value * 1000, SPANS);
    if (unit === "bytes") return scaled(value, SIZES);
    return unit === "%" ? `${plain(value)} %` : `${plain(value)} ${unit}`.trim();
  };
  // On an axis the unit stands in the heading, unless it changes with the size of the number.
  const tick = (value, unit) => {
    if (value === 0) return "0";
    if (["ms", "s", "seconds", "bytes", "%"].includes(unit)) return amount(value, unit);
    return Math.abs(value) >= 1e6 ? scaled(value, [[1e9, 1e9, "G"], [1e6, 1e6, "M"]]) : plain(value);
  };

  // ---- charts ------------------------------------------------------------------------------------------------
  const probe = document.createElement("i");
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const fontOf = (size) => `${size}px ${getComputedStyle(document.body).fontFamily}`;
  const HEIGHT = 200;
  const STEPS = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 43200].map((minutes) => minutes * 60);

  const timesOf = (times) =>
    Array.isArray(times) ? times : Array.from({ length: times.count }, (_, place) => times.start + place * times.step);

  // Whole steps of the zone's own clock: 06:00, 12:00, and midnight as the day.
  const timeSplits = (plot, axis, low, high) => {
    const room = Math.max(2, Math.floor(plot.bbox.width / devicePixelRatio / 64));
    const step = STEPS.find((size) => (high - low) / size <= room) || STEPS[STEPS.length - 1];
    const shift = isLocal ? -new Date(low * 1000).getTimezoneOffset() * 60 : 0;
    const splits = [];
    for (let at = Math.ceil((low + shift) / step) * step - shift; at <= high; at += step) splits.push(at);
    return splits;
  };
  const timeLabels = (plot, splits) =>
    splits.map((at) => {
      const date = zoned(at);
      return date.getUTCHours() + date.getUTCMinutes() === 0 ? day(date) : clock(date);
    });

  // A value with a gap on both sides has no line: it gets a dot.
  const lonely = (plot, series) => {
    const values = plot.data[series];
    const found = [];
    for (let place = 0; place < values.length; place++)
      if (values[place] != null && values[place - 1] == null && values[place + 1] == null) found.push(place);
    return found;
  };

  const withLabel = (context, text, x, y, paint, back) => {
    context.lineWidth = 3 * devicePixelRatio;
    context.strokeStyle = back;
    context.setLineDash([]);
    context.strokeText(text, x, y);
    context.fillStyle = paint;
    context.fillText(text, x, y);
  };
  const fitted = (context, text, width) => {
    if (context.measureText(text).width <= width) return text;
    let length = text.length;
    while (length > 1 && context.measureText(`${text.slice(0, length)}…`).width > width) length--;
    return `${text.slice(0, length)}…`;
  };

  const drawMarks = (plot, held, paint) => {
    const context = plot.ctx;
    const { left, top, width, height } = plot.bbox;
    const ratio = devicePixelRatio;
    context.save();
    context.font = fontOf(11 * ratio);
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    let row = 0;
    let free = -Infinity;
    held.markers.forEach(([label, at]) => {
      const x = Math.round(plot.valToPos(at, "x", true));
      if (x < left || x > left + width) return;
      context.beginPath();
      context.setLineDash([2 * ratio, 3 * ratio]);
      context.lineWidth = ratio;
      context.strokeStyle = paint.soft;
      context.moveTo(x, top);
      context.lineTo(x, top + height);
      context.stroke();
      const text = fitted(context, label, width / 2);
      const size = context.measureText(text).width + 8 * ratio;
      const start = x + size > left + width ? x - size : x;
      row = start < free ? (row + 1) % 3 : 0;
      free = Math.max(free, start + size);
      withLabel(context, text, start + 4 * ratio, top + (11 + 13 * row) * ratio, paint.soft, paint.paper);
    });
    held.thresholds.forEach(([label, value]) => {
      const y = Math.round(plot.valToPos(value, "y", true));
      if (y < top || y > top + height) return;
      context.beginPath();
      context.setLineDash([4 * ratio, 3 * ratio]);
      context.lineWidth = 1.5 * ratio;
      context.strokeStyle = paint.critical;
      context.moveTo(left, y);
      context.lineTo(left + width, y);
      context.stroke();
      const above = y - 4 * ratio < top + 10 * ratio ? y + 13 * ratio : y - 4 * ratio;
      const text = fitted(context, `${label} ${amount(value, held.unit)}`, width - 8 * ratio);
      withLabel(context, text, left + 4 * ratio, above, paint.critical, paint.paper);
    });
    context.restore();
  };

  // The name at a line's end spares the way to the legend; where there is no room for it, the legend does alone.
  const LABEL_MAX = 110;
  const labelRoom = (held, width) => {
    if (width < 480 || held.lines.length > 5) return 0;
    const context = document.createElement("canvas").getContext("2d");
    context.font = fontOf(11);
    return Math.min(LABEL_MAX, Math.max(...held.lines.map((line) => context.measureText(line.label).width))) + 10;
  };
  const drawLabels = (plot, held, data, room) => {
    if (!room) return;
    const context = plot.ctx;
    const { left, top, width, height } = plot.bbox;
    const ratio = devicePixelRatio;
    const ends = held.lines.map((line, place) => {
      const values = data[place + 1];
      const last = values.findLastIndex((value) => value != null);
      return last < 0 ? null : { line, place, y: plot.valToPos(values[last], "y", true) };
    }).filter(Boolean).sort((one, other) => other.y - one.y);
    const apart = 13 * ratio;
    ends.forEach((end, place) => { end.y = Math.min(end.y, place ? ends[place - 1].y - apart : top + height); });
    context.save();
    context.font = fontOf(11 * ratio);
    context.textAlign = "left";
    context.textBaseline = "middle";
    ends.forEach(({ line, place, y }) => {
      context.fillStyle = colour(`line-${place + 1}`);
      context.fillText(fitted(context, line.label, (room - 8) * ratio), left + width + 6 * ratio, y);
    });
    context.restore();
  };

  const makeTip = (box, held) => {
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.hidden = true;
    const head = document.createElement("b");
    const rows = held.lines.map((line, place) => {
      const row = document.createElement("div");
      const swatch = all(".legend .swatch", box.closest("figure"))[place];
      if (swatch) row.append(swatch.cloneNode(true));
      row.append(document.createElement("span"));
      return row;
    });
    tip.append(head, ...rows);
    const show = (plot) => {
      const place = plot.cursor.idx;
      tip.hidden = place == null || plot.cursor.left < 0;
      if (tip.hidden) return;
      head.textContent = whole(plot.data[0][place]);
      held.lines.forEach((line, number) => {
        rows[number].lastChild.textContent = `${amount(plot.data[number + 1][place], held.unit)}  ${line.label}`;
      });
      const x = plot.over.offsetLeft + plot.cursor.left;
      const right = x + 14 + tip.offsetWidth > box.clientWidth ? x - 14 - tip.offsetWidth : x + 14;
      tip.style.left = `${Math.max(0, Math.min(right, box.clientWidth - tip.offsetWidth))}px`;
      tip.style.top = "4px";
    };
    return { tip, show };
  };

  const draw = (chart, width) => {
    const { box, held, data } = chart;
    if (chart.plot) chart.plot.destroy();
    const { tip, show } = makeTip(box, held);
    const paint = { soft: colour("soft"), paper: colour("paper"), grid: colour("grid"), critical: colour("critical") };
    const values = data.slice(1).flat().filter((value) => value != null).concat(held.thresholds.map((each) => each[1]));
    const top = values.reduce((one, other) => Math.max(one, other), 0);
    const low = values.reduce((one, other) => Math.min(one, other), 0);
    const room = labelRoom(held, width);
    const axis = { stroke: paint.soft, font: fontOf(11), ticks: { show: false }, grid: { stroke: paint.grid, width: 1 } };
    chart.plot = new uPlot(
      {
        width,
        height: box.clientHeight || HEIGHT,
        legend: { show: false },
        padding: [8, room || 14, 0, 0],
        cursor: { y: false, points: { size: 6 }, drag: { x: true, y: false } },
        scales: { x: { time: true }, y: { range: (plot, dataLow, dataHigh) => [low, (top - low) * 1.06 + low || 1] } },
        axes: [
          { ...axis, size: 26, splits: timeSplits, values: timeLabels, grid: { show: false }, ticks: { stroke: paint.soft, width: 1, size: 4 } },
          { ...axis, size: (plot, labels) => 14 + 6.4 * Math.max(2, ...(labels || []).map((text) => text.length)), space: 34, values: (plot, splits) => splits.map((value) => tick(value, held.unit)) },
        ],
        series: [
          {},
          ...held.lines.map((line, place) => ({
            label: line.label,
            stroke: colour(`line-${place + 1}`),
            width: 1.5,
            dash: line.dash.length ? line.dash : undefined,
            spanGaps: false,
            points: { show: true, size: 4, filter: lonely, fill: colour(`line-${place + 1}`) },
          })),
        ],
        hooks: { draw: [(plot) => drawMarks(plot, held, paint), (plot) => drawLabels(plot, held, data, room)], setCursor: [show] },
      },
      data,
      box,
    );
    box.append(tip);
    chart.tip = tip;
    chart.width = width;
    box.dataset.drawn = held.lines.length;
  };

  const zoom = (chart, factor) => {
    const { plot, data } = chart;
    const times = data[0];
    const middle = plot.cursor.idx == null ? (plot.scales.x.min + plot.scales.x.max) / 2 : times[plot.cursor.idx];
    const half = ((plot.scales.x.max - plot.scales.x.min) * factor) / 2;
    if (half * 2 < 120) return;
    plot.setScale("x", { min: Math.max(times[0], middle - half), max: Math.min(times[times.length - 1], middle + half) });
  };
  const byKey = (chart, event) => {
    const { plot, data } = chart;
    if (!plot || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = data[0].length - 1;
    const reading = plot.cursor.left >= 0 && plot.cursor.idx != null;
    const jump = event.shiftKey ? 10 : 1;
    const moves = { ArrowRight: jump, ArrowLeft: -jump };
    if (event.key in moves) {
      const place = Math.max(0, Math.min(last, reading ? plot.cursor.idx + moves[event.key] : moves[event.key] > 0 ? 0 : last));
      plot.setCursor({ left: plot.valToPos(data[0][place], "x"), top: 10 });
      document.getElementById("said").textContent = Array.from(chart.tip.children, (row) => row.textContent).join("; ");
    } else if (event.key === "+") zoom(chart, 0.5);
    else if (event.key === "-") zoom(chart, 2);
    else if (event.key === "Escape") {
      plot.setScale("x", { min: data[0][0], max: data[0][last] });
      plot.setCursor({ left: -10, top: -10 });
    } else return;
    event.preventDefault();
  };

  const charts = new Map();
  all("figure.chart").forEach((figure) => {
    const box = figure.querySelector(".plot");
    const held = JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
    const data = [timesOf(held.times), ...held.lines.map((line) => line.values)];
    if (data[0].length < 2 || data.length < 2) return;
    const chart = { box, held, data, plot: null, tip: null, width: 0 };
    charts.set(box, chart);
    box.hidden = false;
    box.addEventListener("keydown", (event) => byKey(chart, event));
    box.addEventListener("blur", () => chart.plot && chart.plot.setCursor({ left: -10, top: -10 }));
  });
  // A chart in a closed finding has no width: it is drawn when it gets one, and again when that changes.
  const sizes = new ResizeObserver((entries) => {
    entries.forEach(({ target, contentRect }) => {
      const chart = charts.get(target);
      const width = Math.floor(contentRect.width);
      if (width > 0 && width !== chart.width) draw(chart, width);
    });
  });
  charts.forEach((chart) => sizes.observe(chart.box));
  const redraw = () => charts.forEach((chart) => chart.plot && draw(chart, chart.width));

  // ---- tools -------------------------------------------------------------------------------------------------
  const say = (text) => { document.getElementById("said").textContent = text; };
  const tools = document.querySelector(".tools");
  tools.hidden = false;
  const evidence = () => all(".finding > details, #muted > details");
  const THEMES = ["system", "light", "dark"];
  const setTheme = (name) => {
    if (name === "system") delete root.dataset.theme;
    else root.dataset.theme = name;
    redraw();
  };
  const times = all("time").map((node) => [node, node.textContent, Date.parse(node.dateTime) / 1000]);
  const setZone = (local) => {
    isLocal = local;
    times.forEach(([node, text, seconds]) => { node.textContent = local ? whole(seconds) : text; });
    const note = document.querySelector(".zone-note");
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    note.hidden = !local;
    note.textContent = local ? `Charts, tables and times beside findings are in ${zone} now; sentences stay in UTC.` : "";
    redraw();
  };
  const doing = {
    open: (button) => {
      const open = button.getAttribute("aria-pressed") !== "true";
      evidence().forEach((details) => { details.open = open; });
      button.setAttribute("aria-pressed", open);
    },
    zone: (button) => {
      setZone(!isLocal);
      button.setAttribute("aria-pressed", isLocal);
    },
    theme: (button) => {
      const name = THEMES[(THEMES.indexOf(root.dataset.theme || "system") + 1) % THEMES.length];
      setTheme(name);
      button.querySelector("span").textContent = name;
    },
  };
  tools.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) doing[button.dataset.do](button);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // A page from a file may have no clipboard; then the text is selected, which an old command can copy.
  const copy = async (node) => {
    try {
      await navigator.clipboard.writeText(node.textContent);
      return true;
    } catch {
      getSelection().selectAllChildren(node);
      return document.execCommand("copy");
    }
  };
  all("button.copy").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copy(button.closest(".code").querySelector("code"));
      button.textContent = done ? "Copied" : "Selected";
      say(button.textContent);
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  });

  const openTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.querySelector("details");
    if (!details || !target.matches(".finding")) return;
    const outer = target.closest("#muted > details");
    if (outer) outer.open = true;
    details.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", openTarget);
  openTarget();

  // On paper everything is open, light, and as wide as the paper; afterwards all is as it was.
  let before = null;
  addEventListener("beforeprint", () => {
    before = { theme: root.dataset.theme || "system", closed: evidence().filter((details) => !details.open) };
    before.closed.forEach((details) => { details.open = true; });
    root.dataset.theme = "light";
    charts.forEach((chart) => draw(chart, 600));
  });
  addEventListener("afterprint", () => {
    if (!before) return;
    before.closed.forEach((details) => { details.open = false; });
    setTheme(before.theme);
    before = null;
    charts.forEach((chart) => { if (chart.box.clientWidth) draw(chart, chart.box.clientWidth); });
  });
})();
