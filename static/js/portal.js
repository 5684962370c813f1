/* What HTML and htmx leave to do: dialogs, the help panel, focus, announcements, the time zone. */
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const docked = window.matchMedia("(min-width: 64rem)");

  // --- the reader's time zone, so that the server can write times as the reader's clock shows them ------------------

  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `coordinoter_zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax`;

  // --- focus and announcements ---------------------------------------------------------------------------------------

  function first(root, selector) {
    return root.matches(selector) ? root : root.querySelector(selector);
  }

  function focusOn(element, options) {
    if (!element) return;
    if (!element.matches("a[href], button, input, textarea, [tabindex]")) element.tabIndex = -1;
    element.focus(options);
  }

  function announce(text) {
    const place = byId("announcer");
    if (!place || !text) return;
    place.textContent = "";
    window.setTimeout(() => (place.textContent = text), 50);
  }

  function arriveOnPage(anchor, restored) {
    const landing = document.querySelector("main [autofocus]");
    const target = (anchor && byId(anchor)) || landing || document.querySelector("main h1");
    focusOn(target, { preventScroll: restored || (!landing && !anchor) });
  }

  // --- the question before a disconnection ---------------------------------------------------------------------------

  function openDialog(dialog, opener) {
    const openerId = opener?.id;
    dialog.addEventListener("close", () => {
      dialog.remove();
      const back = opener?.isConnected ? opener : byId(openerId);
      if (document.activeElement === document.body) focusOn(back?.querySelector("button") ?? back);
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.showModal();
    focusOn(dialog.querySelector("h2"));
  }

  // --- the help panel ------------------------------------------------------------------------------------------------

  const launcher = () => byId("help-button");

  function openPanel(panel) {
    panel.addEventListener("close", () => {
      panel.remove();
      launcher()?.setAttribute("aria-expanded", "false");
      focusOn(launcher());
    });
    if (docked.matches) panel.show();
    else panel.showModal();
    launcher()?.setAttribute("aria-expanded", "true");
    focusOn(panel.querySelector("h2"));
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-close-panel]")) byId("help-panel")?.close();
  });

  document.addEventListener("keydown", (event) => {
    const panel = byId("help-panel");
    if (event.key !== "Escape" || !panel?.open || document.querySelector("dialog:modal")) return;
    event.preventDefault();
    panel.close();
  });

  // --- printing ------------------------------------------------------------------------------------------------------

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-print]")) window.print();
  });

  // --- after htmx put something in -----------------------------------------------------------------------------------

  document.addEventListener("htmx:after:swap", (event) => {
    const { ctx } = event.detail;
    const wholePage = ctx.target === document.body;
    if (wholePage) {
      if (!docked.matches) byId("help-panel")?.close();
      if (byId("help-panel")) launcher()?.setAttribute("aria-expanded", "true");
      // The title is set right after this event: look at the page once it is all there.
      window.setTimeout(() => arriveOnPage(ctx.request?.anchor, Boolean(ctx.request?.headers?.["HX-History-Restore-Request"])));
      return;
    }
    const question = document.querySelector("dialog[data-modal]:not([open])");
    if (question) return openDialog(question, ctx.sourceElement);
    const panel = byId("help-panel");
    if (panel && !panel.open) return openPanel(panel);
    const asked = ["submit", "click"].includes(ctx.sourceEvent?.type);
    if (!asked) return;
    document.querySelector("dialog[data-modal][open]")?.close();
    const target = typeof ctx.target === "string" ? document.querySelector(ctx.target) : byId(ctx.target?.id);
    if (!target) return;
    byId("notice")?.remove(); // what it said was about the step before
    announce(target.querySelector("[data-announce]")?.textContent.trim());
    const pressed = byId(ctx.request?.submitter?.id);
    const lost = document.activeElement === document.body || !document.activeElement?.isConnected;
    const wanted = first(target, '[data-focus="always"]') ?? (lost ? (pressed ?? first(target, "[data-focus]")) : null);
    focusOn(wanted);
  });

  // --- led on to the receipt -----------------------------------------------------------------------------------------

  // Not in the middle of a sentence, nor of a question about another account: the receipt's link is there as well.
  function isBusy() {
    const at = document.activeElement;
    const isWriting = at?.matches("textarea, input:not([type=radio], [type=checkbox])") && at.value.trim() !== "";
    const asked = document.querySelector("dialog[data-modal][open] #disconnect-form")?.getAttribute("action");
    return isWriting || Boolean(asked && byId(`connection-${asked.split("/")[2]}`));
  }

  document.addEventListener("htmx:before:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.sourceElement.matches?.("[id^=disconnection-]") && ctx.target === document.body && isBusy()) event.preventDefault();
  });

  // --- when the portal does not answer -------------------------------------------------------------------------------

  document.addEventListener("htmx:error", (event) => {
    const { ctx } = event.detail;
    if (!ctx || ctx.response) return;
    const lost = byId("lost");
    if (lost) lost.hidden = false;
  });

  // A proxy may answer instead of the portal. What it says is put nowhere (`noSwap` in base.html); a stream that finds
  // no place gets 503 as well, and its page looks around by itself.
  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    const gone = ctx.response?.status > 501 && !ctx.sourceElement?.hasAttribute?.("hx-sse:connect");
    const lost = byId("lost");
    if (lost) lost.hidden = !gone;
  });

  if (document.querySelector("main [autofocus]")) arriveOnPage();
})();
