// The chart: bars tell their time and count, and a stretch of them narrows the
// time range, by pointer or by keys. Without this each bar is a link.
(() => {
  "use strict";
  const svgNS = "http://www.w3.org/2000/svg";
  const figure = () => document.getElementById("chart");
  const part = selector => figure()?.querySelector(selector);
  const bars = () => [...(figure()?.querySelectorAll(".bars a") || [])];
  const utc = () => window.audit.timeZone() === "UTC";
  const two = n => String(n).padStart(2, "0");

  // The window and its bars, in milliseconds; its edges as they were written.
  const scale = () => {
    const d = figure().dataset, from = Date.parse(d.from), to = Date.parse(d.to), width = Number(d.width);
    return { from, to, width, at: t => (t - from) / (to - from) };
  };
  const times = a => {
    const q = new URL(a.href.baseVal, location.href).searchParams;
    return { from: q.get("from"), to: q.get("to") };
  };
  const written = t => {
    const d = figure().dataset, { from, to } = scale();
    return t <= from ? d.from : t >= to ? d.to : new Date(t).toISOString().replace(".000Z", "Z");
  };

  // Labels in the zone that is chosen.
  const clock = (iso, withDay) => {
    const t = new Date(iso);
    const parts = utc()
      ? [t.getUTCFullYear(), t.getUTCMonth() + 1, t.getUTCDate(), t.getUTCHours(), t.getUTCMinutes(), t.getUTCSeconds()]
      : [t.getFullYear(), t.getMonth() + 1, t.getDate(), t.getHours(), t.getMinutes(), t.getSeconds()];
    const time = parts.slice(3, parts[5] ? 6 : 5).map(two).join(":");
    return withDay ? `${parts[0]}-${two(parts[1])}-${two(parts[2])} ${time}` : time;
  };
  const span = (from, to) => {
    const day = iso => clock(iso, true).slice(0, 10);
    return `${clock(from, true)} to ${clock(to, day(from) !== day(to))}`;
  };
  const events = n => `${n} event${n === "1" ? "" : "s"}`;
  const labelBars = () => {
    for (const a of bars()) {
      const title = a.querySelector("title"), { from, to } = times(a);
      a.dataset.count ||= title.textContent.slice(title.textContent.lastIndexOf(" ") + 1);
      const text = `${span(from, to)}: ${events(a.dataset.count)}`;
      a.setAttribute("aria-label", text);
      title.remove(); // the text above the chart tells it at once
    }
  };
  const month = new Intl.DateTimeFormat("en", { month: "short", timeZone: "UTC" });
  const months = Array.from({ length: 12 }, (_, i) => month.format(Date.UTC(2000, i)));
  const drawTicks = () => {
    const group = part(".ticks"), { from, to, at } = scale(), step = figure().dataset.step;
    if (!group || !step) return;
    const z = utc() ? "UTC" : "", get = (t, what) => t[`get${z}${what}`](), make = (y, m, d) => z ? new Date(Date.UTC(y, m, d)) : new Date(y, m, d);
    const monthly = step.endsWith("M"), n = parseInt(step, 10), start = new Date(from);
    let t = monthly ? make(get(start, "FullYear") - get(start, "FullYear") % Math.max(1, n / 12), 0, 1) : make(get(start, "FullYear"), get(start, "Month"), get(start, "Date"));
    const last = Number(group.dataset.last), lastNarrow = Number(group.dataset.lastNarrow);
    group.replaceChildren();
    for (let i = 0; i < 20000 && t < to; i++) {
      if (t >= from && at(t) <= last) {
        const day = `${months[get(t, "Month")]} ${get(t, "Date")}`, midnight = !get(t, "Hours") && !get(t, "Minutes");
        const time = [get(t, "Hours"), get(t, "Minutes"), ...(n < 60 ? [get(t, "Seconds")] : [])].map(two).join(":");
        const text = document.createElementNS(svgNS, "text");
        text.setAttribute("x", `${at(t) * 100}%`);
        text.setAttribute("y", "107");
        text.classList.toggle("edge", at(t) > lastNarrow);
        text.textContent = monthly ? (n >= 12 ? "" : months[get(t, "Month")] + " ") + get(t, "FullYear") : n >= 86400 || midnight && n >= 60 ? day : time;
        group.append(text);
      }
      if (monthly) t = make(get(t, "FullYear"), get(t, "Month") + n, 1);
      else if (n >= 86400) t = make(get(t, "FullYear"), get(t, "Month"), get(t, "Date") + n / 86400);
      else t = new Date(t.getTime() + n * 1000);
    }
  };

  // The selection: two times, or nothing.
  let chosen = null;
  const read = text => {
    const place = part("#read");
    if (place) place.textContent = text;
    figure()?.classList.toggle("reading", !!text);
  };
  const draw = () => {
    const brush = part(".brush");
    if (!brush) return;
    const { at } = scale();
    const x = chosen ? at(chosen.from) : 0, end = chosen ? at(chosen.to) : 0;
    brush.setAttribute("x", `${Math.max(0, x) * 100}%`);
    brush.setAttribute("width", `${(Math.min(1, end) - Math.max(0, x)) * 100}%`);
    if (chosen) read(`${span(written(chosen.from), written(chosen.to))}: ${events(sum(chosen).toLocaleString("en-US"))}`);
  };
  const sum = ({ from, to }) => bars().reduce((n, a) => {
    const t = Date.parse(times(a).from);
    return t >= from && t < to ? n + Number(a.dataset.count.replaceAll(",", "")) : n;
  }, 0);
  const clear = () => { chosen = null; draw(); read(""); };
  const go = href => htmx.ajax("GET", href, { source: figure(), target: "#list", select: "#list", swap: "outerHTML show:none" });
  const narrow = () => {
    const to = figure().dataset.narrow, range = new URLSearchParams({ from: written(chosen.from), to: written(chosen.to) });
    clear();
    go(to + (to.includes("?") ? "&" : "?") + range);
  };
  // Whole bars between two places of the pointer, or two bars.
  const stretch = (a, b) => {
    const { from, to, width } = scale();
    const [low, high] = a < b ? [a, b] : [b, a];
    const first = Math.floor(low / width) * width, end = Math.ceil(high / width) * width;
    return { from: Math.max(from, first), to: Math.min(to, Math.max(end, first + width)) };
  };

  let drag = null;
  const timeAt = event => {
    const box = part("svg").getBoundingClientRect(), { from, to } = scale();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return from + share * (to - from);
  };
  document.addEventListener("pointerdown", event => {
    const svg = event.target instanceof Element && event.target.closest("#chart svg");
    if (!svg || event.button !== 0 || event.pointerType === "touch") return;
    drag = { x: event.clientX, t: timeAt(event), moved: false };
  });
  document.addEventListener("pointermove", event => {
    if (drag) {
      if (!drag.moved && Math.abs(event.clientX - drag.x) < 5) return;
      drag.moved = true;
      chosen = stretch(drag.t, timeAt(event));
      draw();
      event.preventDefault();
      return;
    }
    const svg = event.target instanceof Element && event.target.closest("#chart svg");
    if (!svg) { if (figure()?.classList.contains("reading") && !chosen && !part(".bars a:focus-visible")) read(""); return; }
    const here = stretch(timeAt(event), timeAt(event));
    if (!chosen) read(`${span(written(here.from), written(here.to))}: ${events(sum(here).toLocaleString("en-US"))}`);
  });
  document.addEventListener("pointerup", () => {
    const { moved } = drag || {};
    drag = null;
    if (!moved || !chosen) return;
    // The click that follows is not one on a bar.
    document.addEventListener("click", stop, true);
    setTimeout(() => document.removeEventListener("click", stop, true));
    narrow();
  });
  const stop = event => { event.preventDefault(); event.stopPropagation(); };
  document.addEventListener("pointercancel", () => { drag = null; clear(); });
  document.addEventListener("dragstart", event => { if (event.target instanceof Element && event.target.closest("#chart")) event.preventDefault(); });
  document.addEventListener("click", event => {
    const a = event.target instanceof Element && event.target.closest("#chart .bars a");
    if (!a || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    if (chosen) narrow();
    else go(a.href.baseVal);
  });

  // One stop for the Tab key; arrows go on from there.
  let anchor = null;
  const rove = to => {
    for (const a of bars()) a.setAttribute("tabindex", a === to ? "0" : "-1");
    to?.focus();
  };
  document.addEventListener("keydown", event => {
    const a = event.target instanceof Element && event.target.closest("#chart .bars a");
    if (!a || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = bars(), i = all.indexOf(a);
    if (event.key === "Escape" && chosen) { clear(); anchor = null; event.preventDefault(); return; }
    if (event.key === "Enter" && chosen) { event.preventDefault(); narrow(); return; }
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = all[Math.min(all.length - 1, Math.max(0, to))];
    if (event.shiftKey) {
      anchor ||= a;
      const one = times(anchor), other = times(next);
      const starts = [Date.parse(one.from), Date.parse(other.from)], ends = [Date.parse(one.to), Date.parse(other.to)];
      chosen = { from: Math.min(...starts), to: Math.max(...ends) };
    } else {
      anchor = null;
      chosen = null;
    }
    rove(next);
    draw();
    if (chosen) window.audit.say(`${part("#read").textContent}. Enter narrows to this time.`);
  });
  document.addEventListener("focusin", event => {
    const a = event.target instanceof Element && event.target.closest("#chart .bars a");
    if (a && !chosen) read(a.getAttribute("aria-label"));
  });
  document.addEventListener("focusout", event => {
    if (event.target instanceof Element && event.target.closest("#chart .bars a") && !drag) {
      const next = event.relatedTarget;
      if (!(next instanceof Element && next.closest("#chart"))) { anchor = null; clear(); }
    }
  });

  const begin = () => {
    if (!figure() || figure().dataset.ready) return;
    figure().dataset.ready = "1";
    chosen = anchor = null;
    labelBars();
    drawTicks();
    const all = bars();
    for (const [i, a] of all.entries()) a.setAttribute("tabindex", i === all.length - 1 ? "0" : "-1");
  };
  const ready = () => { if (window.audit) begin(); };
  document.addEventListener("DOMContentLoaded", ready);
  document.addEventListener("htmx:load", ready);
  document.addEventListener("audit:zone", () => { if (figure()) { for (const a of bars()) a.prepend(document.createElementNS(svgNS, "title")); labelBars(); drawTicks(); } });
})();
