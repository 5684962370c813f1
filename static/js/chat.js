/* Conversations: drafts, sending again safely, typing, scrolling, the desk's sound, and deep links to help. */
"use strict";

(() => {
  const DRAFT = "draft:";
  const NOT_SENT = "Not sent: the portal is not answering. Your text is kept; press Send again.";
  const owner = () => document.body.dataset.reader || "";
  const drafts = {
    key: (form) => `${DRAFT}${owner()}:${form.dataset.draft}`,
    forget: () => {
      for (const key of Object.keys(window.sessionStorage)) {
        if (key.startsWith(DRAFT)) window.sessionStorage.removeItem(key);
      }
    },
  };

  // --- drafts live as long as the tab and the sign-in, whichever is shorter ------------------------------------------

  function keepToOwner() {
    const before = window.sessionStorage.getItem("drafts-of");
    if (before !== owner()) drafts.forget();
    window.sessionStorage.setItem("drafts-of", owner());
  }

  function fillIn() {
    for (const form of document.querySelectorAll("[data-composer]:not([data-filled])")) {
      form.dataset.filled = "";
      const field = form.querySelector("textarea");
      field.value = field.value || window.sessionStorage.getItem(drafts.key(form)) || "";
    }
    for (const log of document.querySelectorAll(".entries")) toTheEnd(log);
  }

  document.addEventListener("input", (event) => {
    const form = event.target.closest?.("[data-composer]");
    if (form && event.target.matches("textarea")) window.sessionStorage.setItem(drafts.key(form), event.target.value);
  });

  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("action") === "/sign-out") drafts.forget();
  });

  // Enter sends, Shift+Enter makes a new line; on touch screens Enter makes a new line.
  document.addEventListener("keydown", (event) => {
    const form = event.target.closest?.("[data-composer]");
    if (!form || !event.target.matches("textarea") || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    if (!window.matchMedia("(pointer: fine)").matches) return;
    event.preventDefault();
    form.requestSubmit(form.querySelector(".button.is-main"));
  });

  // --- a message that has arrived empties the field and gives the next one a name of its own -------------------------

  function freshName() {
    return [...window.crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");
  }

  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    const form = ctx.sourceElement;
    if (!form?.matches?.("[data-composer]")) return;
    const place = form.querySelector("[id$='-fault']");
    if (ctx.response?.status > 501 && place) place.textContent = NOT_SENT;
    if (ctx.response?.status !== 201) return;
    window.sessionStorage.removeItem(drafts.key(form));
    form.querySelector("textarea").value = "";
    form.querySelector("input[type=file]").value = "";
    form.querySelector("[name=sent_as]").value = freshName();
    if (place) place.textContent = "";
  });

  document.addEventListener("htmx:error", (event) => {
    const { ctx } = event.detail;
    const form = ctx?.sourceElement;
    if (!form?.matches?.("[data-composer]") || ctx.response) return;
    const place = form.querySelector("[id$='-fault']");
    if (place) place.textContent = NOT_SENT;
  });

  // --- the log stays at its end unless somebody reads further up -----------------------------------------------------

  const atEnd = new WeakMap();

  function toTheEnd(log) {
    if (atEnd.get(log) !== false) log.scrollTop = log.scrollHeight;
  }

  document.addEventListener(
    "scroll",
    ({ target }) => target.matches?.(".entries") && atEnd.set(target, target.scrollHeight - target.scrollTop - target.clientHeight < 40),
    true,
  );

  document.addEventListener("htmx:after:swap", () => {
    window.setTimeout(() => {
      fillIn();
      stopTyping();
      const log = document.querySelector("#entries");
      const seen = document.querySelector("[data-seen]");
      if (log && seen) seen.value = log.dataset.last;
    });
  });

  // --- who is typing -------------------------------------------------------------------------------------------------

  let stopped;
  const counts = new Map();

  // Whoever was writing has sent it: the next line says so better.
  function stopTyping() {
    for (const log of document.querySelectorAll(".entries")) {
      if (counts.has(log.id) && counts.get(log.id) !== log.dataset.last) {
        for (const place of document.querySelectorAll("[data-typing]")) place.textContent = "";
      }
      counts.set(log.id, log.dataset.last);
    }
  }

  function showTyping(name, conversation) {
    for (const place of document.querySelectorAll("[data-typing]")) {
      if ((place.dataset.typing || "") !== conversation || place.dataset.me === name) continue;
      place.textContent = `${name} is writing …`;
      window.clearTimeout(stopped);
      stopped = window.setTimeout(() => (place.textContent = ""), 4500);
    }
  }

  document.body.addEventListener("live-typing", (event) => showTyping(event.detail.data, ""));

  document.addEventListener("htmx:sse:after:message", (event) => {
    const { event: name, data } = event.detail.message;
    if (name.startsWith("live-typing-")) showTyping(data, name.slice("live-typing-".length));
    if (name === "live-desk" && data === "news") ring();
  });

  // --- the desk's sound ----------------------------------------------------------------------------------------------

  const SOUND = "desk-sound";

  function ring() {
    if (!document.querySelector("#queue, #composer-desk") || window.localStorage.getItem(SOUND) === "off") return;
    const audio = new window.AudioContext();
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.frequency.value = 660;
    volume.gain.setValueAtTime(0.08, audio.currentTime);
    volume.gain.exponentialRampToValueAtTime(0.0001, audio.currentTime + 0.4);
    tone.connect(volume).connect(audio.destination);
    tone.start();
    tone.stop(audio.currentTime + 0.4);
    tone.onended = () => audio.close();
  }

  function showSound() {
    for (const button of document.querySelectorAll("[data-sound]")) {
      button.setAttribute("aria-pressed", String(window.localStorage.getItem(SOUND) !== "off"));
    }
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-sound]")) {
      window.localStorage.setItem(SOUND, window.localStorage.getItem(SOUND) === "off" ? "on" : "off");
      showSound();
    }
    const canned = event.target.closest?.("[data-canned]");
    if (canned) {
      event.preventDefault();
      const field = document.querySelector("#answer-text");
      field.value = [field.value.trim(), canned.dataset.canned].filter(Boolean).join("\n\n");
      field.focus();
    }
  });

  // --- deep links: ?help=article:slug, search:words, chat, chat:a drafted message -----------------------------------

  function openHelp() {
    const address = new URL(window.location.href);
    const wanted = address.searchParams.get("help");
    if (!wanted) return;
    address.searchParams.delete("help");
    window.history.replaceState(window.history.state, "", address);
    const [kind, ...rest] = wanted.split(":");
    const words = rest.join(":");
    const ask = new URLSearchParams({ page: address.pathname });
    if (kind === "article") ask.set("article", words);
    if (kind === "search") ask.set("q", words);
    if (kind === "chat") ask.set("view", "chat");
    if (kind === "chat" && words) ask.set("draft", words);
    window.htmx.ajax("GET", `/help/panel?${ask}`, { target: "#help-place", swap: "innerHTML" });
  }

  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.target === document.body) {
      window.setTimeout(() => {
        keepToOwner();
        showSound();
        openHelp();
      });
    }
  });

  keepToOwner();
  fillIn();
  showSound();
  if (document.readyState === "complete") openHelp();
  else window.addEventListener("load", openHelp);
})();
