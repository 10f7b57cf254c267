// Keeps the live figures up to date. Everything else works without it.
"use strict";
(() => {
  const live = document.getElementById("live");
  const state = document.getElementById("live-state");
  const pause = document.getElementById("live-pause");
  if (!live || !state || !pause) return;
  const everyMs = 2000, longestMs = 30000;
  let waitMs = everyMs, paused = false, timer = 0;
  const later = () => { clearTimeout(timer); timer = setTimeout(refresh, waitMs); };
  const refresh = async () => {
    if (paused) return;
    // What somebody reads by keyboard or selects must not vanish.
    const selected = getSelection();
    const busy = live.contains(document.activeElement)
      || (selected && !selected.isCollapsed && live.contains(selected.anchorNode));
    if (document.hidden || busy) return later();
    try {
      const answer = await fetch("/page/live", { cache: "no-store", signal: AbortSignal.timeout(longestMs) });
      if (answer.status === 401) {
        state.textContent = "You are signed out. Load the page again to sign in.";
        pause.hidden = true;
        return;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      if (!paused) live.innerHTML = text;
      state.textContent = "";
      waitMs = everyMs;
    } catch {
      state.textContent = "The server does not answer. These figures may be old.";
      waitMs = Math.min(waitMs * 2, longestMs);
    }
    later();
  };
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    state.textContent = paused ? "Paused." : "";
    if (!paused) refresh();
  });
  later();
})();
