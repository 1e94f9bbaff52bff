// What every page does where scripts run: theme, time zone, copying, keys.
// Without them each page works too, and shows times in UTC.
(() => {
  "use strict";

  const store = {
    get(key) { try { return localStorage.getItem(key) || ""; } catch { return ""; } },
    set(key, value) { try { localStorage.setItem(key, value); } catch { /* for this page only */ } },
  };
  const by = id => document.getElementById(id);

  // Texts for everyone, the blind included. Each replaces the one before.
  let fading;
  const say = text => {
    const toast = by("toast");
    toast.textContent = text;
    clearTimeout(fading);
    fading = setTimeout(() => { toast.textContent = ""; }, 5000);
  };

  // Times. Every <time datetime> shows the chosen zone; data-time fields of
  // forms hold it too, and send UTC, which is what the server reads.
  let zone = store.get("audit-zone") === "utc" ? "utc" : "local";
  const localZone = Intl.DateTimeFormat().resolvedOptions().timeZone || "local time";
  const timeZone = () => zone === "utc" ? "UTC" : localZone;
  const two = n => String(n).padStart(2, "0");
  const text = (t, between) => zone === "utc"
    ? `${t.getUTCFullYear()}-${two(t.getUTCMonth() + 1)}-${two(t.getUTCDate())}${between}${two(t.getUTCHours())}:${two(t.getUTCMinutes())}:${two(t.getUTCSeconds())}`
    : `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}${between}${two(t.getHours())}:${two(t.getMinutes())}:${two(t.getSeconds())}`;
  const fraction = iso => (/\.\d+/.exec(iso) || [""])[0];
  // What a field shows does not always tell its instant: an hour that a zone
  // repeats reads the same twice. A field that nobody touched, which still holds
  // what was written into it, means the instant that it came with.
  const instant = field => {
    const untouched = field.dataset.time && field.value === field.dataset.written;
    const t = new Date(untouched ? field.dataset.time : field.dataset.shown === "utc" ? field.value + "Z" : field.value);
    return isNaN(t) ? null : t;
  };
  const all = (root, selector) => [...(root.matches && root.matches(selector) ? [root] : []), ...root.querySelectorAll(selector)];
  const showTimes = root => {
    for (const e of all(root, "time[datetime]")) {
      const iso = e.getAttribute("datetime"), t = new Date(iso);
      if (isNaN(t)) continue;
      e.textContent = text(t, " ") + ("precise" in e.dataset ? fraction(iso) : "");
      e.title = `${iso} (UTC)`;
    }
    for (const e of all(root, "[data-at]")) {
      const t = new Date(e.dataset.at);
      if (isNaN(t)) continue;
      const full = text(t, " ");
      e.textContent = e.dataset.form === "time" ? full.slice(-8, -3) : e.dataset.form === "date" ? full.slice(-14, -9) : full;
    }
    for (const e of all(root, "[data-zone]")) e.textContent = timeZone();
    for (const e of all(root, "input[data-time]")) {
      if (e.type !== "datetime-local") continue; // holds a fraction: as text, in UTC
      const t = e.dataset.shown ? instant(e) : e.dataset.time ? new Date(e.dataset.time) : null;
      e.dataset.shown = zone;
      if (!t || isNaN(t)) continue;
      e.dataset.time = t.toISOString();
      e.value = text(t, "T");
      e.dataset.written = e.value; // as the browser writes it, without seconds of zero
    }
  };
  document.addEventListener("formdata", event => {
    for (const e of event.target.querySelectorAll("input[data-time]")) {
      if (!e.name || e.type !== "datetime-local" || !e.dataset.shown || !event.formData.has(e.name)) continue;
      const t = instant(e);
      if (t) event.formData.set(e.name, t.toISOString().replace(".000Z", "Z"));
    }
  });

  // Copying: data-copy holds the text, data-copy-from the id of what holds it,
  // data-copy-url the address of it.
  const toCopy = async button => {
    if (button.dataset.copyUrl) {
      const answer = await fetch(button.dataset.copyUrl, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.statusText);
      return answer.text();
    }
    const from = button.dataset.copyFrom && by(button.dataset.copyFrom);
    const what = from ? from.value ?? from.textContent : button.dataset.copy;
    // The server writes addresses without a host, which it does not know.
    return button.hasAttribute("data-copy-address") ? new URL(what, location.href).href : what;
  };
  document.addEventListener("click", async event => {
    const button = event.target.closest("[data-copy], [data-copy-from], [data-copy-url]");
    if (!button) return;
    let copied;
    try {
      copied = await toCopy(button);
    } catch {
      say("It could not be loaded. Try again shortly.");
      return;
    }
    try {
      await navigator.clipboard.writeText(copied);
    } catch {
      // Over plain HTTP browsers have no clipboard but this.
      const area = document.createElement("textarea");
      area.value = copied;
      area.className = "hidden";
      (button.closest("dialog") || document.body).append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      button.focus();
      if (!done) { say("The browser does not allow copying. Select the text and copy it."); return; }
    }
    say(button.dataset.copied || "Copied");
  });

  // Keys. Those of a single character can be turned off, and are the text's
  // where text is written.
  const writes = e => e && (e.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(e.tagName));
  const links = () => [...document.querySelectorAll("table.events tbody tr")].map(row => row.querySelector("a")).filter(a => a);
  const step = by => {
    const rows = links();
    if (!rows.length) return false;
    const here = rows.findIndex(a => a.closest("tr").contains(document.activeElement));
    const to = here < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(here + by, 0), rows.length - 1);
    rows[to].focus();
    rows[to].scrollIntoView({ block: "nearest" });
    return true;
  };
  const singles = {
    "/": () => {
      const search = document.querySelector('input[type="search"][name="search"]');
      if (!search) return false;
      search.focus();
      search.select();
      return true;
    },
    "?": () => { by("keys").showModal(); return true; },
    j: () => step(1),
    k: () => step(-1),
  };
  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (document.querySelector("dialog[open]")) return;
    const active = document.activeElement;
    let done = false;
    if (event.key === "Escape") {
      const close = document.querySelector("[data-drawer-close]");
      if (close && !document.querySelector("details.menu[open]")) { close.click(); done = true; }
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (active && active.closest("table.events tbody")) done = step(event.key === "ArrowDown" ? 1 : -1);
    } else if (store.get("audit-keys") !== "off" && !writes(active) && Object.hasOwn(singles, event.key)) {
      done = singles[event.key]();
    }
    if (done) event.preventDefault();
  });

  const begin = () => {
    by("choices").hidden = false;
    const theme = by("theme"), zones = by("zone"), keys = by("keys-on");
    theme.value = document.documentElement.dataset.theme || "";
    theme.addEventListener("change", () => {
      store.set("audit-theme", theme.value);
      if (theme.value) document.documentElement.dataset.theme = theme.value;
      else delete document.documentElement.dataset.theme;
    });
    zones.value = zone;
    zones.addEventListener("change", () => {
      zone = zones.value;
      store.set("audit-zone", zone);
      showTimes(document);
      document.dispatchEvent(new CustomEvent("audit:zone"));
    });
    keys.checked = store.get("audit-keys") !== "off";
    keys.addEventListener("change", () => store.set("audit-keys", keys.checked ? "on" : "off"));
    by("keys-open").addEventListener("click", () => by("keys").showModal());
    show(document);
  };
  // Whatever comes later, by whichever way, is shown like what was there.
  const show = root => {
    showTimes(root);
    for (const e of all(root, "[data-scripted]")) e.hidden = false;
  };
  document.addEventListener("htmx:load", event => show(event.detail.elt));
  // Where the session has ended, an answer is the log-in's page: this page
  // leads there and back.
  document.addEventListener("htmx:beforeSwap", event => {
    const from = event.detail.xhr && event.detail.xhr.responseURL;
    if (!from || new URL(from, location.href).pathname !== "/login" || !event.detail.shouldSwap) return;
    event.detail.shouldSwap = false;
    location.reload();
  });
  window.audit = { say, show, timeZone };
  begin();
})();
