// Keeps what is live on a page fresh: asks for the same page again every few seconds and puts its live part in the place
// of the old one. It rests while nobody looks, and says little. Without it a page is as fresh as when it was loaded.
"use strict";
(() => {
  const live = document.getElementById("live");
  const state = document.getElementById("live-state");
  const said = document.getElementById("live-said");
  if (!live || !state || !said) return;

  const every = Number(live.dataset.every) * 1000;
  const quietFor = 60000; // between two announcements of the same stage
  let paused = false, timer = 0, failures = 0, lastSaid = Date.now(), announced = live.dataset.said;

  const button = document.createElement("button");
  button.type = "button";
  const shown = document.createElement("span");
  state.replaceChildren(shown, button);

  const clock = () => new Date().toISOString().slice(11, 19) + " UTC";
  const tell = (text) => { shown.textContent = text; };
  const label = () => { button.textContent = paused ? "Go on updating" : "Pause updates"; };

  function announce(next) {
    const text = next.dataset.said || "";
    const isNewStage = next.dataset.stage !== live.dataset.stage;
    if (text !== announced && (isNewStage || Date.now() - lastSaid > quietFor)) {
      said.textContent = text;
      announced = text;
      lastSaid = Date.now();
    }
  }

  // Whoever is at a link or has scrolled a table sideways stays there.
  function replace(next) {
    const at = document.activeElement;
    const links = [...live.querySelectorAll("a, button, summary, [tabindex]")];
    const index = links.indexOf(at);
    const scrolled = [...live.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
    const open = [...live.querySelectorAll("details")].map((part) => part.open);
    live.replaceChildren(...next.childNodes);
    [...live.querySelectorAll("details")].forEach((part, i) => { part.open = open[i] || false; });
    [...live.querySelectorAll(".scroll")].forEach((part, i) => { part.scrollLeft = scrolled[i] || 0; });
    if (index >= 0) {
      const now = [...live.querySelectorAll("a, button, summary, [tabindex]")][index];
      if (now) now.focus({ preventScroll: true });
    }
    live.dataset.stage = next.dataset.stage;
  }

  async function refresh() {
    timer = 0;
    try {
      const answer = await fetch(location.href, { cache: "no-store", redirect: "manual", credentials: "same-origin" });
      if (answer.type === "opaqueredirect") return location.reload(); // signed out
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.getElementById("live");
      if (!next) return location.reload(); // it is over: the whole page is another one
      failures = 0;
      if (paused) return;
      announce(next);
      replace(document.adoptNode(next));
      tell("Live. As of " + clock() + ".");
    } catch {
      failures += 1;
      tell("The host did not answer at " + clock() + ". What is shown may be old; it is asked again.");
      if (failures === 2) said.textContent = "The host does not answer. What is shown may be old.";
    }
    plan();
  }

  function plan() {
    if (timer || paused || document.hidden) return;
    timer = setTimeout(refresh, every * Math.min(2 ** failures, 12));
  }
  function rest() { clearTimeout(timer); timer = 0; }

  button.addEventListener("click", () => {
    paused = !paused;
    label();
    tell(paused ? "Paused. As of " + clock() + "." : "Live.");
    if (paused) rest(); else plan();
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) rest(); else plan(); });

  label();
  tell("Live. As of " + clock() + ".");
  plan();
})();
