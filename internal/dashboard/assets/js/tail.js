// The live tail: asks for what was stored since, and puts it into the table in
// the table's own order. Chart, count and table are made to agree again every
// so often, from one answer.
(() => {
  "use strict";
  const every = 2000, agreeEvery = 15000, mostRows = 500, mostSeen = 5000, longestWait = 60000;
  const by = id => document.getElementById(id);
  let run = null; // what belongs to one list; a new list has its own

  // The order of the table: by time, to the last digit, as text.
  const key = tr => {
    const iso = tr.querySelector("time")?.getAttribute("datetime") || "";
    return iso.slice(0, 19) + (/\.(\d+)/.exec(iso)?.[1] || "").padEnd(9, "0");
  };
  const idOf = tr => {
    const a = tr.querySelector("a.open");
    return a ? new URL(a.href).searchParams.get("event") : "";
  };
  const plural = n => `${n} new event${n === 1 ? "" : "s"}`;

  const state = (name, text) => {
    const bar = by("tail"), said = by("tail-state");
    if (!bar || !said) return;
    if (bar.dataset.state !== name && (name === "lost" || name === "ended" || name === "refused" || bar.dataset.state === "lost")) tell(text, true);
    bar.dataset.state = name;
    if (said.textContent !== text) said.textContent = text;
  };
  // over ends the tail for good: only a new list goes on.
  const over = (name, text) => {
    run.paused = run.over = true;
    clearTimeout(run.timer);
    state(name, text);
    for (const [id, hidden] of [["tail-pause", true], ["tail-again", false]]) if (by(id)) by(id).hidden = hidden;
  };
  // For those who hear the page: at most every ten seconds, never row by row.
  const tell = (text, now) => {
    if (!run || (!now && Date.now() - run.told < 10000)) return false;
    run.told = Date.now();
    const said = by("tail-said");
    if (said) said.textContent = text;
    return true;
  };
  const showNew = () => {
    const e = by("tail-new");
    if (e) e.textContent = run.fresh ? `${plural(run.fresh)} that chart and count don’t have yet` : "";
    if (run.untold && tell(plural(run.untold))) run.untold = 0;
  };

  // insert puts rows where they belong and returns how many are new.
  const insert = (rows, mark) => {
    const body = by("rows");
    let added = 0;
    for (const tr of rows) {
      const id = idOf(tr);
      if (!id || run.seen.has(id)) continue;
      run.seen.add(id);
      added++;
      const own = document.importNode(tr, true), at = key(own);
      if (mark) own.classList.add("fresh");
      const next = [...body.children].find(other => key(other) < at);
      // What is older than this page belongs to a later one.
      if (!next && by("pages")) continue;
      body.insertBefore(own, next || null);
      audit.show(own);
    }
    while (body.children.length > mostRows) body.lastElementChild.remove();
    // What the table has may come again with the list, nothing else does.
    if (run.seen.size > mostSeen) run.seen = new Set([...run.seen].slice(-mostSeen / 2).concat([...body.children].map(idOf)));
    return added;
  };

  const loaded = async (address, signal) => {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, signal });
    if (answer.redirected && new URL(answer.url).pathname === "/login") { location.reload(); throw new DOMException("", "AbortError"); }
    return answer;
  };
  // agree brings chart and count to what the table shows, from one answer. Where
  // there is no table yet it brings all of it. If it can't, that waits its turn.
  const agree = async own => {
    own.agreeAt = Date.now() + agreeEvery;
    const answer = await loaded(own.here, own.stop.signal);
    if (!answer.ok || run !== own) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (run !== own) return;
    const put = id => {
      const from = page.getElementById(id), to = by(id);
      if (!from || !to) return;
      const fresh = document.importNode(from, true);
      to.replaceWith(fresh);
      htmx.process(fresh);
      htmx.trigger(fresh, "htmx:load");
    };
    if (!by("rows")) {
      put("results");
      begin();
      return;
    }
    for (const id of ["chart", "summary"]) put(id);
    insert(page.querySelectorAll("#rows > tr"), true);
    run.fresh = 0;
    run.lacking = false;
    showNew();
  };

  const poll = async own => {
    if (run !== own || own.paused || document.hidden || own.asking) return;
    own.asking = true;
    let wait = every;
    try {
      const answer = await loaded(`${own.poll}${own.poll.includes("?") ? "&" : "?"}after=${encodeURIComponent(own.next)}`, own.stop.signal);
      if (run !== own) return;
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) {
        over("ended", "Ended: you may no longer see these events.");
        return;
      }
      if (answer.status === 400 || answer.status === 414 || answer.status === 431) { // the position is too old, or of another store
        over("refused", "Stopped: it can’t be told any more what is new since.");
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const table = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("table[data-next]");
      if (!table) throw new Error("not an answer of the tail");
      if (run !== own) return;
      own.failed = 0;
      own.next = table.dataset.next;
      const rows = [...table.querySelectorAll("tbody > tr")];
      if (rows.length) {
        if (by("rows")) {
          const added = insert(rows, true);
          own.fresh += added;
          own.untold += added;
        } else if (!own.lacking) {
          own.agreeAt = 0;
        }
        own.lacking = true;
      }
      const more = "more" in table.dataset;
      state(more ? "behind" : "live", more ? "Behind, catching up" : "Live");
      showNew();
      if (more) wait = 0;
      else if (own.lacking && Date.now() >= own.agreeAt) await agree(own);
    } catch (problem) {
      if (problem.name === "AbortError" || run !== own) return;
      own.failed++;
      wait = Math.min(longestWait, every * 2 ** Math.min(own.failed, 6)) * (0.75 + Math.random() / 2);
      state("lost", `No connection. Trying again in ${Math.round(wait / 1000)} seconds`);
    } finally {
      own.asking = false;
      if (run === own && !own.paused) {
        clearTimeout(own.timer);
        own.timer = setTimeout(() => poll(own), wait);
      }
    }
  };

  const end = () => {
    if (!run) return;
    clearTimeout(run.timer);
    run.stop.abort();
    run = null;
  };
  const begin = () => {
    const bar = by("tail");
    if (run && run.bar === bar) return;
    end();
    if (!bar || !bar.dataset.poll) return;
    const here = new URL(location.href);
    here.searchParams.delete("event");
    run = {
      bar, poll: bar.dataset.poll, next: bar.dataset.next, here: here.href, seen: new Set(), stop: new AbortController(),
      fresh: 0, untold: 0, told: 0, failed: 0, agreeAt: Date.now() + agreeEvery, lacking: false, paused: false, over: false, asking: false, timer: 0,
    };
    for (const tr of document.querySelectorAll("#rows > tr")) run.seen.add(idOf(tr));
    state("live", "Live");
    const own = run;
    own.timer = setTimeout(() => poll(own), every);
  };
  const resume = () => {
    if (!run || run.paused || document.hidden) return;
    clearTimeout(run.timer);
    poll(run);
  };

  document.addEventListener("click", event => {
    const button = event.target instanceof Element && event.target.closest("#tail-pause");
    if (!button || !run || run.over) return;
    run.paused = !run.paused;
    button.setAttribute("aria-pressed", String(run.paused));
    button.textContent = run.paused ? "Go on" : "Pause";
    state(run.paused ? "paused" : "live", run.paused ? "Paused" : "Live");
    clearTimeout(run.timer);
    resume();
  });
  document.addEventListener("visibilitychange", () => {
    if (!run || run.paused) return;
    if (document.hidden) clearTimeout(run.timer);
    else resume();
  });
  addEventListener("online", resume);
  document.addEventListener("htmx:afterSettle", begin);
  document.addEventListener("DOMContentLoaded", begin);
})();
