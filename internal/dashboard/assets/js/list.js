// The list: menus that load their values, filters that apply at once, and
// answers that are heard. Without this the forms and links of the page do the
// same.
(() => {
  "use strict";
  const by = id => document.getElementById(id);
  const closest = (e, selector) => e instanceof Element ? e.closest(selector) : null;

  // Menus. A menu that opens loads its values and stays on the screen: its
  // panel hangs from the edge of its button where more of it can be seen, also
  // after the bar has wrapped or the window was resized.
  const place = () => {
    const page = document.documentElement.clientWidth;
    for (const panel of document.querySelectorAll("details.menu[open] > .panel")) {
      const button = panel.parentElement.getBoundingClientRect(), wide = panel.offsetWidth;
      const fromLeft = Math.max(0, button.left + wide - page), fromRight = Math.max(0, wide - button.right);
      panel.classList.toggle("flip", panel.parentElement.matches(".end") ? fromLeft < fromRight : fromRight < fromLeft);
    }
  };
  const sizes = new ResizeObserver(place);
  const watch = () => {
    sizes.disconnect();
    for (const e of document.querySelectorAll("#filters, .filterbar, #toolbar, #list .menu, #list .panel")) sizes.observe(e);
  };
  watch();
  addEventListener("resize", place);
  document.addEventListener("htmx:afterSettle", watch);
  document.addEventListener("toggle", event => {
    const menu = event.target;
    if (!(menu instanceof HTMLDetailsElement) || !menu.open || !menu.matches(".menu, .part")) return;
    place();
    const values = [...menu.querySelectorAll(".values[hx-get]")].filter(v => v.closest("details") === menu);
    for (const v of values) htmx.trigger(v, "fill");
    const find = [...menu.querySelectorAll(".find")].find(f => f.closest("details") === menu);
    if (find) {
      if (find.value) find.value = "";
      // Not where that brings up a keyboard on the screen.
      if (!matchMedia("(pointer: coarse)").matches) find.focus();
    }
  }, true);
  const shut = menu => {
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector("summary").focus();
  };
  // What is open closes when it is left: by a click outside of it, or when the
  // keyboard moves the focus out of it. A press of the mouse moves the focus too,
  // before the click: to whatever around the pointer takes it, which for the text
  // of a menu is the page's content. That leaves nothing, and a menu that went
  // away under the pressed button would take the click with it.
  let pressed = null;
  const leave = to => {
    for (const menu of document.querySelectorAll("details.menu[open], details.why[open]")) {
      if (!menu.contains(to)) menu.open = false;
    }
  };
  document.addEventListener("mousedown", event => { pressed = event.target; }, true);
  document.addEventListener("keydown", () => { pressed = null; }, true);
  document.addEventListener("focusin", event => { if (!pressed) leave(event.target); });
  document.addEventListener("click", event => {
    // A click that follows a press belongs to where that began: a text that is
    // selected in a menu may end outside of it. What was pressed may be gone by
    // now, as when an answer has taken its place.
    leave(pressed && pressed.isConnected ? pressed : event.target);
    pressed = null;
  });
  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.isComposing) return;
    const menu = closest(event.target, "details.menu[open]");
    if (!menu) return;
    if (event.key === "Escape") {
      shut(menu);
      event.preventDefault();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], side = { ArrowLeft: ".in", ArrowRight: ".out" }[event.key];
    const row = closest(event.target, ".row"), find = closest(event.target, ".find");
    if (event.target.type === "radio" || !step && !side || !row && !find) return;
    if (side) {
      if (!row) return;
      row.querySelector(side + " input")?.focus();
    } else {
      const rows = [...menu.querySelectorAll(".row")].filter(r => r.offsetParent);
      const kind = closest(event.target, ".out") ? ".out" : ".in";
      const to = rows[row ? rows.indexOf(row) + step : step > 0 ? 0 : -1];
      if (to) to.querySelector(kind + " input")?.focus();
      else if (step < 0) closest(event.target, "fieldset")?.querySelector(".find")?.focus();
    }
    event.preventDefault();
  });

  // A choice applies at once. A value is included or excluded, not both.
  document.addEventListener("change", event => {
    const field = event.target, form = by("filters");
    if (!form || field.form !== form) return;
    if (field.type === "checkbox") {
      const values = closest(field, ".values"), row = closest(field, ".row");
      htmx.trigger(values, "htmx:abort"); // its answer would not know of this
      for (const other of row.querySelectorAll("input")) if (other !== field && field.checked) other.checked = false;
    } else if (field.type !== "radio" || field.id === "time-custom") return;
    htmx.trigger(form, "pick");
  });
  document.addEventListener("input", event => {
    if (event.target.id === "from" || event.target.id === "to") by("time-custom").checked = true;
  });
  document.addEventListener("submit", event => {
    if (event.target.id !== "filters") return;
    const menu = document.querySelector("#filters details.menu[open]");
    if (menu) shut(menu);
  });

  // Answers. An error shows its page's text where the events were, a log-in
  // that is over leads to the log-in, and what came is said.
  let focus = null, last = "";
  const ours = detail => detail.target && (detail.target.id === "list" || detail.target.id === "results");
  document.addEventListener("htmx:beforeRequest", event => {
    const e = event.detail.elt;
    focus = null;
    if (closest(e, "#chips")) focus = { from: "chips", at: [...by("chips").querySelectorAll("a")].indexOf(e) };
    else if (closest(e, "#pages")) focus = { from: "pages" };
    else if (closest(e, "#chart")) focus = { from: "chart" };
  });
  document.addEventListener("htmx:beforeSwap", event => {
    const { xhr, target, pathInfo } = event.detail;
    if (xhr.responseURL && new URL(xhr.responseURL).pathname === "/login") {
      event.detail.shouldSwap = false;
      if (ours(event.detail)) location.assign(pathInfo.finalRequestPath);
      else location.reload();
      return;
    }
    if (xhr.status < 400) return;
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("#content > *");
    const place = ours(event.detail) ? by("results") : target;
    const text = page ? [...page.querySelectorAll("h1, .lead, .alert li")].map(e => e.textContent.trim()) : ["The answer can’t be read."];
    const problem = document.createElement("div");
    problem.className = "problem alert";
    problem.setAttribute("role", "alert");
    for (const t of text) problem.append(Object.assign(document.createElement("p"), { textContent: t }));
    if (ours(event.detail)) {
      // The address is the state: loading it again shows the same, in full.
      history.pushState({ htmx: true }, "", pathInfo.responsePath || pathInfo.finalRequestPath);
      const again = document.createElement("p");
      again.append(Object.assign(document.createElement("a"), { href: location.href, textContent: "Show the whole message" }));
      problem.append(again);
    }
    place.replaceChildren(problem);
    event.detail.shouldSwap = false;
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, event => {
      const { target } = event.detail, place = ours(event.detail) ? by("results") : target;
      place.querySelector(":scope > .problem")?.remove();
      const problem = document.createElement("div");
      problem.className = "problem alert";
      problem.setAttribute("role", "alert");
      problem.textContent = "The server can’t be reached, so what is shown here is not what was asked for. Check the connection and try again.";
      place.prepend(problem);
    });
  }
  document.addEventListener("htmx:afterSettle", event => {
    if (!ours(event.detail)) return;
    const count = by("count"), said = by("said");
    const text = count ? count.textContent.trim().replace(/\s+/g, " ") : "";
    if (said && text !== last) said.textContent = last = text;
    if (!focus || document.activeElement !== document.body) return;
    const links = by("chips") ? by("chips").querySelectorAll("a") : [];
    if (focus.from === "chips" && links.length) links[Math.min(focus.at, links.length - 1)].focus();
    else if (focus.from === "chart" && document.querySelector("#chart .bars a")) document.querySelector("#chart .bars a").focus();
    else {
      by("results").focus({ preventScroll: true });
      if (focus.from === "pages") by("summary").scrollIntoView({ block: "start" });
    }
    focus = null;
  });
})();
