// Runs before the first paint, so that a chosen theme never flashes.
(() => {
  "use strict";
  try {
    const theme = localStorage.getItem("audit-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* storage is off: the system's theme */ }
})();
