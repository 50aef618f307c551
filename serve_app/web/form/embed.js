// One line puts a form into any page:
// <script async src="https://forms.example/embed.js" data-form="tenant/slug"></script>
(() => {
  "use strict";
  const MOST_HEIGHT = 50000;
  const script = document.currentScript;
  const { form = "", lang, title } = script.dataset;
  if (!/^[a-z0-9][a-z0-9_-]*\/[a-z0-9-]+$/.test(form)) {
    console.error('embed.js: data-form must be "tenant/form"');
    return;
  }
  const origin = new URL(script.src).origin;
  const query = new URLSearchParams({ ...(lang ? { lang } : {}), embed: "1" });
  const frame = document.createElement("iframe");
  // The frame talks to this origin only, and only the frame is listened to.
  frame.src = `${origin}/f/${form}?${query}#${new URLSearchParams({ parent: location.origin })}`;
  frame.title = title || "Form";
  frame.allow = "geolocation";
  Object.assign(frame.style, { display: "block", width: "100%", height: "30rem", border: "0" });
  window.addEventListener("message", (event) => {
    if (event.origin !== origin || event.source !== frame.contentWindow) {
      return;
    }
    const { type, height } = event.data || {};
    if (type === "formstream:height" && Number.isFinite(height)) {
      frame.style.height = `${Math.min(Math.max(height, 50), MOST_HEIGHT)}px`;
    } else if ((type === "formstream:page" || type === "formstream:sent") && frame.getBoundingClientRect().top < 0) {
      frame.scrollIntoView({ block: "start" });
    }
    if (type === "formstream:sent") {
      frame.dispatchEvent(new CustomEvent("formstream:sent", { bubbles: true }));
    }
  });
  script.after(frame);
})();
