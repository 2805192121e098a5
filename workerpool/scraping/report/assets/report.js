// Draws the curves of the page's data; everything else is there without it.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (value) => value >= 1e6 ? (value / 1e6).toFixed(1).replace(/\.0$/, "") + "M"
    : value >= 1e4 ? Math.round(value / 1e3) + "k" : String(+value.toPrecision(3));
  const two = (number) => String(number).padStart(2, "0");
  const span = (data.times.at(-1) || 0) - (data.times[0] || 0);
  const fine = data.step * data.times.length < 1200;  // ticks less than a minute apart

  function clock(seconds, exact) {
    const time = new Date(seconds * 1000);
    const day = span > 86400 ? `${two(time.getUTCMonth() + 1)}-${two(time.getUTCDate())} ` : "";
    return `${day}${two(time.getUTCHours())}:${two(time.getUTCMinutes())}${exact || fine ? ":" + two(time.getUTCSeconds()) : ""}`;
  }

  const sync = uPlot.sync("time");
  let plots = [];

  function options(chart, width) {
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false } };
    const series = chart.lines.map((line) => ({
      label: line.name, stroke: colour(line.colour), width: 1.5, points: { show: data.times.length < 3 },
      fill: line.fill ? colour(line.colour) + "22" : undefined,
      value: (_, value) => value == null ? "" : short(value) + (chart.unit || ""),
    }));
    return {
      width, height: width < 500 ? 170 : 210, cursor: { sync: { key: sync.key }, y: false }, legend: { live: true },
      // By steps and not by time: where the run stood still for long, little of it could be seen else.
      scales: { x: { time: false, distr: 2 }, y: { range: (_, low, high) => [0, Math.max(high * 1.05, chart.least || 1)] } },
      axes: [
        { ...axis, space: 76, size: 28, values: (_, ticks) => ticks.map((tick) => tick == null ? null : clock(data.times[tick] ?? tick, false)) },
        { ...axis, size: 44, values: (_, ticks) => ticks.map(short) },
      ],
      series: [{ label: "time", value: (_, at) => at == null ? "" : clock(at, true) }, ...series],
    };
  }

  function draw() {
    plots.forEach((plot) => plot.destroy());
    plots = [...document.querySelectorAll("[data-chart]")].map((place) => {
      const chart = data.charts[place.dataset.chart];
      const plot = new uPlot(options(chart, place.clientWidth), [data.times, ...chart.lines.map((l) => l.values)], place);
      sync.sub(plot);
      return plot;
    });
  }

  let due = 0;
  addEventListener("resize", () => { cancelAnimationFrame(due); due = requestAnimationFrame(draw); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
