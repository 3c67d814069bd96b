// Draws the charts of a report from the JSON beside it. Their cursors move together.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const HEIGHT = 240; // pixels
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = (value) => (value === null || value === undefined ? "" : value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : 0 }));
  // A label stands where its figure is: none is rounded to another.
  const exactly = (value) => value.toLocaleString("en", { maximumFractionDigits: 6 });
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  // A compressed day shows its own time, everything else the seconds since the start.
  const moment = (second) => {
    if (data.speed <= 1) return `${exactly(second)} s`;
    const minutes = Math.round((second * data.speed) / 60);
    return `${two(minutes / 60)}:${two(minutes % 60)}`;
  };
  const everyHours = [1, 2, 3, 4, 6, 12].map((hours) => (hours * 3600) / data.speed);
  const kinds = {
    latency: { logarithmic: true },
    stock: { stacked: true },
    memory: { seconds: data.service?.seconds, lines: data.service?.memory },
    lateness: { lines: data.generator?.lateness },
    cores: { lines: data.generator?.cores },
    ...data.kinds,
  };

  function draw(key) {
    const kind = { seconds: data.seconds, lines: data[key], ...kinds[key] };
    const place = document.querySelector(`#${key} > div`);
    const names = Object.keys(kind.lines);
    if (!names.length || !kind.seconds.length) {
      place.innerHTML = '<p class="nothing">nothing to show</p>';
      return;
    }
    const lines = names.map((name) => kind.lines[name]);
    const drawn = kind.stacked ? stack(lines) : lines;
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const options = {
      width: place.clientWidth,
      height: HEIGHT,
      cursor: { sync: { key: "all" } },
      hooks: { draw: [atTheEnd], setCursor: [atTheEnd] },
      scales: {
        x: { time: false, range: [0, Math.max(1, data.seconds.at(-1))] },
        y: kind.logarithmic ? { distr: 3, range: (_, least, most) => [Math.max(0.1, least / 1.5), Math.max(1, most * 1.5)] } : { range: (_, least, most) => [Math.min(0, least), Math.max(1, most * 1.05)] },
      },
      axes: [
        { ...axis, space: 60, values: (_, splits) => splits.map(moment), ...(data.speed > 1 ? { incrs: everyHours } : {}) },
        { ...axis, size: 66, values: (_, splits) => splits.map((value) => (kind.logarithmic && ![1, 2, 5].includes(Number(String(value).replace(/[0.]/g, ""))) ? "" : exactly(value))) },
      ],
      series: [
        { label: data.speed > 1 ? "time" : "second", value: (_, value) => (value === null ? "" : moment(value)) },
        ...names.map((name, index) => ({
          label: name,
          stroke: colour(`--c${index % 8}`),
          fill: kind.stacked || names.length === 1 ? `${colour(`--c${index % 8}`)}44` : undefined,
          width: 1.5,
          points: { show: false },
          spanGaps: kind.gaps === true,
          value: (_chart, _value, _series, at) => number(at === null ? null : lines[index][at]),
        })),
      ],
    };
    const chart = new window.uPlot(options, [kind.seconds, ...drawn], place);
    new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
  }

  // Nobody points at a time: the legend says how it ended.
  function atTheEnd(chart) {
    if (chart.cursor.idx == null) chart.setLegend({ idx: chart.data[0].length - 1 }, false);
  }

  // The first lies at the bottom in meaning, so it is drawn last: each line is the sum from its own to the last.
  function stack(lines) {
    const sums = lines.map((line) => line.slice());
    for (let index = sums.length - 2; index >= 0; index -= 1) sums[index] = sums[index].map((value, at) => value + sums[index + 1][at]);
    return sums;
  }

  document.querySelectorAll(".chart").forEach((section) => draw(section.id));
})();
