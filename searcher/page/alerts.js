// Asks now and then for alerts that came since the page was made, and says so. The script of cases shows them: they are
// the next pictures, so nothing moves under the hands of who is judging.
"use strict";

(() => {
  const everyMilliseconds = 2000;
  // A server that does not answer is asked less and less often.
  const everyMillisecondsMax = 60000;
  let pause = everyMilliseconds;
  let count = 0;

  document.addEventListener("DOMContentLoaded", () => {
    setTimeout(look, pause);
    document.addEventListener("visibilitychange", () => document.hidden || look(true));
    // They are shown now.
    new MutationObserver(forget).observe(document.getElementById("main"), { childList: true });
  });

  const link = () => document.getElementById("following");

  async function look(once = false) {
    if (!document.hidden) await ask();
    if (once !== true) setTimeout(look, pause);
  }

  async function ask() {
    try {
      const { feed, newest } = link().dataset;
      const response = await fetch(`${feed}${newest}`);
      if (!response.ok) throw new Error(response.statusText);
      const reply = await response.json();
      pause = everyMilliseconds;
      link().dataset.newest = reply.newest;
      if (reply.alerts.length) tell(reply.alerts.length);
    } catch {
      pause = Math.min(2 * pause, everyMillisecondsMax);
    }
  }

  function forget() {
    count = 0;
    link().textContent = "Look for new alerts";
    link().classList.remove("primary");
    document.title = document.title.replace(/^\(\d+\) /, "");
  }

  function tell(more) {
    count += more;
    const text = count === 1 ? "Show 1 new alert" : `Show ${count} new alerts`;
    link().textContent = text;
    link().classList.add("primary");
    document.title = `(${count}) ${document.title.replace(/^\(\d+\) /, "")}`;
    document.getElementById("status").textContent = text;
    // Who waits with nothing left to judge sees them at once.
    if (!document.querySelector("#judging .verdicts[data-verdict='']")) location.reload();
  }
})();
