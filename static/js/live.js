/* One stream per page tells its parts to look again. Without a stream they look by themselves every few seconds. */
"use strict";

(() => {
  const EVERY = 2000;
  const SAFETY = 15; // with a stream: every so many rounds, should an event ever get lost
  let streaming = false;
  let round = 0;

  document.addEventListener("htmx:sse:after:connection", () => (streaming = true));
  for (const name of ["htmx:sse:before:connection", "htmx:sse:close", "htmx:sse:error"]) {
    document.addEventListener(name, () => (streaming = false));
  }

  window.setInterval(() => {
    round += 1;
    if (document.hidden || (streaming && round % SAFETY)) return;
    window.htmx.trigger(document.body, "live-all");
    if (!streaming) window.htmx.trigger(document.body, "live-polling");
  }, EVERY);
})();
