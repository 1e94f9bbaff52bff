// What every page does where scripts run. Without them each page works too.
(() => {
  "use strict";
})();
