// Keeps the page up to date, asks in a dialog, draws the curves. All else is there without it.
(() => {
  "use strict";
  const one = (selector) => document.querySelector(selector);
  const say = (text) => { one("#news").textContent = text; };

  // Updates: not while nobody looks, nor while they are paused.
  const updates = one("#updates");
  let paused = sessionStorage.getItem("paused") === "1";
  const show = () => {
    if (!updates) return;
    updates.hidden = !one("#live");
    updates.setAttribute("aria-pressed", String(paused));
  };
  updates?.addEventListener("click", () => {
    paused = !paused;
    sessionStorage.setItem("paused", paused ? "1" : "0");
    show();
  });
  const idle = () => paused || document.hidden || one("#dialog").open;
  document.addEventListener("htmx:before:request", (event) => {
    if (event.detail.ctx.sourceEvent?.type === "every" && idle()) event.preventDefault();
  });

  // What a screen reader is told: only what has changed.
  let said = one("#live")?.dataset.say;
  document.addEventListener("htmx:after:swap", () => {
    const now = one("#live")?.dataset.say;
    if (now && now !== said) say(now);
    said = now;
    const dialog = one("#dialog");
    if (dialog.firstElementChild && !dialog.open) dialog.showModal();
  });
  const trouble = (text) => { const place = one("#trouble"); place.hidden = !text; place.textContent = text; };
  document.addEventListener("htmx:after:request", (event) => {
    const status = event.detail.ctx.response?.status;
    if (status === 401) return;
    trouble(status >= 400 ? `The service has answered ${status}. Load the page again, or wait.` : "");
  });
  document.addEventListener("htmx:error", () => trouble("The service can't be reached; the page is as it was."));

  // The dialog.
  one("#dialog").addEventListener("close", (event) => event.target.replaceChildren());
  one("#dialog").addEventListener("click", (event) => {
    if (event.target.closest("[data-close]") || event.target === event.currentTarget) {
      event.preventDefault();
      event.currentTarget.close();
    }
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("form[data-once]")) setTimeout(() => event.target.querySelectorAll("button").forEach((each) => { each.disabled = true; }));
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[data-once] button").forEach((each) => { each.disabled = false; }));

  // The curves.
  const CHARTS = {
    rate: [["succeeded", "succeeded", "--fill-good"], ["failed", "not succeeded", "--fill-bad"]],
    time: [["half", "half within", "--fill-busy"], ["most", "95 % within", "--fill-warn"]],
  };
  const short = (value) => value >= 1e4 ? Math.round(value / 1e3) + "k" : String(+value.toPrecision(3));
  const seconds = (value) => value >= 1 || value === 0 ? short(value) + " s" : short(value * 1000) + " ms";
  const clock = (at) => new Date(at * 1000).toISOString().slice(11, 19);
  const latest = (value, text) => value == null ? "–" : text(value);
  let data = null;
  let plots = [];

  function colour(name) {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.style.color = `var(${name})`;
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  function options(kind, width) {
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const text = kind === "time" ? seconds : short;
    const least = kind === "time" ? 0.01 : 1;
    return {
      width, height: 170, cursor: { y: false }, legend: { live: true },
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, Math.max((high ?? 0) * 1.1, least)] } },
      axes: [
        { ...axis, space: 80, size: 26, values: (_, ticks) => ticks.map(clock), incrs: [10, 30, 60, 120] },
        { ...axis, size: 52, space: 36, values: (_, ticks) => ticks.map(text) },
      ],
      series: [
        { label: "at", value: (_, at) => clock(at ?? data.times.at(-1)) },
        ...CHARTS[kind].map(([key, label, name]) => ({
          label, stroke: colour(name), width: 1.5, points: { show: kind === "time", size: 4, fill: colour(name) },
          value: (_, value, __, at) => latest(at == null ? data[key].at(-1) : value, text),
        })),
      ],
    };
  }

  const columns = (kind) => [data.times, ...CHARTS[kind].map(([name]) => data[name])];

  function draw() {
    plots.forEach(({ plot }) => plot.destroy());
    plots = data ? [...document.querySelectorAll("[data-chart]")].map((place) => {
      const kind = place.dataset.chart;
      return { kind, plot: new uPlot(options(kind, place.clientWidth), columns(kind), place) };
    }) : [];
  }

  async function ask() {
    if (data && idle()) return;
    try {
      const answer = await fetch("/live.json", { headers: { "HX-Request": "true" } });
      if (!answer.ok) return;
      const first = !data;
      data = await answer.json();
      if (first) draw();
      else plots.forEach(({ kind, plot }) => plot.setData(columns(kind)));
    } catch { /* the next time */ }
  }

  if (one("[data-chart]")) {
    ask();
    setInterval(ask, 2000);
    let due = 0;
    addEventListener("resize", () => { cancelAnimationFrame(due); due = requestAnimationFrame(draw); });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }
  show();
})();
