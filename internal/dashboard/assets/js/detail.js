// The drawer: an event beside the list. Its address and its links work without
// this; here it opens in place, takes the focus and gives it back.
(() => {
  "use strict";
  const place = () => document.getElementById("drawer");
  const opened = () => new URLSearchParams(location.search).get("event") || "";
  const rowOf = id => [...document.querySelectorAll("a.open")].find(a => new URL(a.href).searchParams.get("event") === id);
  const mark = () => {
    const id = place() && place().childElementCount ? opened() : "";
    for (const a of document.querySelectorAll("a.open[aria-current]")) a.removeAttribute("aria-current");
    const row = id && rowOf(id);
    if (row) row.setAttribute("aria-current", "true");
  };

  let asking;
  const show = async (id, address, push) => {
    if (asking) asking.abort();
    const own = asking = new AbortController();
    const here = new URL(location.href), names = new URLSearchParams();
    for (const name of here.searchParams.getAll("namespace")) names.append("namespace", name);
    place().setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`/security/audit-logs/events/${encodeURIComponent(id)}${names.size ? "?" + names : ""}`, {
        headers: { Accept: "text/html", "HX-Request": "true", "HX-Target": "drawer", "HX-Current-URL": here.href }, signal: own.signal,
      });
      const html = await answer.text();
      // Without a session this is the page of the log-in, which leads back.
      if (answer.redirected || !html.includes("data-drawer")) { location.assign(address); return; }
      place().innerHTML = html;
      if (push) history.pushState({ drawer: true }, "", address);
      audit.show(place());
      mark();
      document.getElementById("drawer-title").focus();
    } catch (problem) {
      if (problem.name !== "AbortError") location.assign(address);
    } finally {
      if (asking === own && place()) place().removeAttribute("aria-busy");
    }
  };
  const clear = () => {
    if (asking) asking.abort();
    place().replaceChildren();
    mark();
  };

  const plain = event => !event.defaultPrevented && !event.button && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  document.addEventListener("click", event => {
    if (!plain(event) || !place()) return;
    const close = event.target.closest("[data-drawer-close]");
    if (close) {
      // The list is here already; only its address is missing.
      event.preventDefault();
      const row = rowOf(opened());
      history.pushState({ drawer: true }, "", close.getAttribute("href"));
      clear();
      (row || document.getElementById("content")).focus();
      return;
    }
    // A row opens like its link, unless its text is being selected.
    const row = event.target.closest("table.events tbody tr");
    const link = event.target.closest("a.open") ||
      (row && !event.target.closest("a, button, input, label, summary") && getSelection().isCollapsed ? row.querySelector("a.open") : null);
    const id = link && new URL(link.href).searchParams.get("event");
    if (!id) return;
    event.preventDefault();
    show(id, link.getAttribute("href"), true);
  });
  // Back and forward: htmx loads its own entries again, those of the drawer are here.
  addEventListener("popstate", event => {
    if (!place() || (event.state && event.state.htmx)) return;
    const id = opened();
    if (id) show(id, location.href, false);
    else clear();
  });
  // Another filter is another list; its address has no event.
  document.addEventListener("htmx:afterSettle", () => {
    if (place() && place().childElementCount && !opened()) clear();
    else mark();
  });
  mark();
})();
