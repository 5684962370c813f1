/* Help by another service: our icon opens it, with the situation of the page; signing out shuts it down. */
"use strict";

(() => {
  const set = () => JSON.parse(document.querySelector("[data-elsewhere]").dataset.elsewhere);

  function load(address, ready) {
    const script = document.createElement("script");
    script.src = address;
    script.async = true;
    script.id = "ze-snippet"; // Zendesk's script looks for itself under this name
    script.addEventListener("load", ready);
    document.head.append(script);
  }

  const plain = (context) =>
    Object.fromEntries(Object.entries(context).map(([name, value]) => [name.toLowerCase().replace(/\W+/g, "_"), value]));

  const adapters = {
    intercom: {
      start({ key, context }, ready) {
        load(`https://widget.intercom.io/widget/${key}`, () => {
          window.Intercom("boot", { app_id: key, hide_default_launcher: true, ...plain(context) });
          ready();
        });
      },
      tell: (context) => window.Intercom("update", plain(context)),
      open: (draft) => (draft ? window.Intercom("showNewMessage", draft) : window.Intercom("show")),
      forget: () => window.Intercom("shutdown"),
    },
    zendesk: {
      start({ key }, ready) {
        load(`https://static.zdassets.com/ekr/snippet.js?key=${key}`, () => {
          window.zE("messenger", "hide");
          ready();
        });
      },
      tell: (context) => window.zE("messenger:set", "conversationTags", Object.values(plain(context)).map(String)),
      open() {
        window.zE("messenger", "show");
        window.zE("messenger", "open");
      },
      forget: () => window.zE("messenger", "logoutUser"),
    },
    chatwoot: {
      start({ key, origin, context }, ready) {
        window.chatwootSettings = { hideMessageBubble: true };
        window.addEventListener("chatwoot:ready", () => {
          window.$chatwoot.setConversationCustomAttributes(plain(context));
          ready();
        });
        load(`${origin}/packs/js/sdk.js`, () => window.chatwootSDK.run({ websiteToken: key, baseUrl: origin }));
      },
      tell: (context) => window.$chatwoot.setConversationCustomAttributes(plain(context)),
      open: () => window.$chatwoot.toggle("open"),
      forget: () => window.$chatwoot.reset(),
    },
  };

  const adapter = adapters[set().kind];
  let started = false;

  // Nothing of the service is loaded before somebody asks for help.
  function open(draft) {
    if (started) {
      adapter.tell(set().context);
      return adapter.open(draft);
    }
    adapter.start(set(), () => {
      started = true;
      adapter.open(draft);
    });
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("#help-launcher form")) {
      event.preventDefault();
      open();
    }
    if (form.getAttribute("action") === "/sign-out" && started) adapter.forget();
  });

  function openDeepLink() {
    const [kind, ...rest] = (new URLSearchParams(window.location.search).get("help") || "").split(":");
    const words = rest.join(":");
    if (kind === "article") window.location.assign(`/help/${encodeURIComponent(words)}`);
    if (kind === "search") window.location.assign(`/help?q=${encodeURIComponent(words)}`);
    if (kind === "chat") open(words);
  }

  window.addEventListener("load", openDeepLink);
})();
