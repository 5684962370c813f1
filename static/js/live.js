/* One stream per page tells its parts to look again. Without a stream they look by themselves every few seconds.
   `live-all` is for parts in which something is going on, `live-rarely` for those at rest. */
"use strict";

(() => {
  const EVERY = 2000;
  const SAFETY = 15; // with a stream: every so many rounds, should an event ever get lost
  const AT_REST = { polling: 5, streaming: 60 }; // rounds: most pages are at rest, and each look costs us one
  let streaming = false;
  let round = 0;

  document.addEventListener("htmx:sse:after:connection", () => (streaming = true));
  for (const name of ["htmx:sse:before:connection", "htmx:sse:close", "htmx:sse:error"]) {
    document.addEventListener(name, () => (streaming = false));
  }

  // Said by the stream, not by the clock below: something was missed, and what is at rest may have moved as well.
  document.addEventListener("live-all", ({ target }) => {
    if (target !== document.body) window.htmx.trigger(document.body, "live-rarely");
  });

  // What a page is told while a part of it is on its way, the part may be too old to know and was not there to hear:
  // it is told once more. Not what made it be asked for. And not who is typing, which is over in a moment.
  let counted = 0;
  const told = new Map(); // event -> when the stream said it last, and with which words
  const asked = new WeakMap();
  document.addEventListener("htmx:sse:before:message", ({ detail: { message } }) => {
    if (!message.event.startsWith("live-typing")) told.set(message.event, { at: ++counted, data: message.data });
  });
  document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => asked.set(ctx, ++counted));
  document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
    const stream = document.querySelector("[id^=live]");
    if (!stream || ctx.swap === "none") return;
    for (const [event, { at, data }] of told) if (at > asked.get(ctx)) window.htmx.trigger(stream, event, { data });
  });

  // Signed out in another tab: nothing stays on this one for the next person. A page in the background has no stream,
  // and finds out as soon as it is looked at.
  let leaving = false;
  document.addEventListener("submit", (event) => {
    leaving ||= event.target.getAttribute("action") === "/sign-out";
  });
  document.addEventListener("live-signed-out", () => leaving || window.location.reload());
  document.addEventListener("htmx:sse:error", ({ detail }) => detail.status === 401 && window.location.reload());
  document.addEventListener("htmx:before:response", ({ detail: { ctx } }) => {
    if (ctx.sourceElement.id.startsWith("live") && ctx.response.status === 401) window.location.reload();
  });

  window.setInterval(() => {
    round += 1;
    if (document.hidden) return;
    if (round % (AT_REST[streaming ? "streaming" : "polling"]) === 0) window.htmx.trigger(document.body, "live-rarely");
    if (streaming && round % SAFETY) return;
    window.htmx.trigger(document.body, "live-all");
    if (!streaming) window.htmx.trigger(document.body, "live-polling");
  }, EVERY);
})();
