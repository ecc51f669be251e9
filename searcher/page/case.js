// The pages of cases work by links and forms. This script saves each judgement at once and adds keys.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  // What was judged together, to be undone together.
  const done = [];
  // Saved one after another, so that the ledger has them in the order in which they were made.
  let saving = Promise.resolve();
  let anchor = 0;

  document.addEventListener("DOMContentLoaded", start);

  function start() {
    document.addEventListener("error", onPictureError, true);
    if (!find("judging")) return;
    document.addEventListener("change", onChange);
    document.addEventListener("keydown", onKey);
    document.addEventListener("focusin", onFocus);
    find("following")?.addEventListener("click", (event) => {
      event.preventDefault();
      next();
    });
    cards().forEach((card, place) => (card.tabIndex = place ? -1 : 0));
    cards()[0].focus({ preventScroll: true });
  }

  const cards = () => [...document.querySelectorAll(".card")];
  const verdictOf = (card) => card.querySelector(".verdicts").dataset.verdict;

  // Judging -----------------------------------------------------------------------------------------------------------

  function onChange(event) {
    if (event.target.matches(".verdicts input")) judge([event.target.closest(".card")], event.target.value);
  }

  function judge(chosen, verdict) {
    const before = chosen.map((card) => [card, verdictOf(card)]);
    done.push(before);
    put(chosen.map((card) => [card, verdict]));
  }

  function undo() {
    const before = done.pop();
    if (!before) return;
    put(before);
    focus(cards().indexOf(before[0][0]));
  }

  /** Show verdicts and save them; where that fails they are shown as they were, and it is said. */
  function put(changes) {
    const before = changes.map(([card]) => [card, verdictOf(card)]);
    const judgements = changes.map(([card, verdict]) => ({
      ...JSON.parse(card.querySelector(".verdicts").dataset.image),
      verdict: verdict || "withdrawn",
    }));
    show(changes);
    saving = saving.then(() => save(judgements)).catch((error) => {
      show(before);
      trouble(`Not saved: ${error.message}`);
    });
  }

  function show(changes) {
    for (const [card, verdict] of changes) {
      const fieldset = card.querySelector(".verdicts");
      card.classList.remove("relevant", "not_relevant", "unsure");
      if (verdict) card.classList.add(verdict);
      fieldset.dataset.verdict = verdict;
      for (const radio of fieldset.querySelectorAll("[type=radio]")) radio.checked = radio.value === verdict;
    }
  }

  async function save(judgements) {
    const response = await fetch(`/v1/cases/${find("judging").dataset.case}/judgements`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ judgements }),
    });
    const reply = await response.json();
    if (!response.ok) throw new Error(reply.detail);
    trouble("");
    for (const count of document.querySelectorAll("[data-count]")) count.textContent = reply[count.dataset.count];
    find("status").textContent = `${reply.relevant} relevant of ${reply.judged} judged`;
  }

  /** The next pictures, once everything is saved. */
  async function next() {
    await saving;
    if (find("trouble").hidden) location.assign(find("following").href);
  }

  function trouble(text) {
    find("trouble").textContent = text;
    find("trouble").hidden = !text;
  }

  // Keys --------------------------------------------------------------------------------------------------------------

  const verdicts = { Digit1: "relevant", Digit2: "not_relevant", Digit3: "unsure", Digit0: "" };
  for (const digit of [0, 1, 2, 3]) verdicts[`Numpad${digit}`] = verdicts[`Digit${digit}`];

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, [type=text], textarea")) return;
    const all = cards();
    const place = all.indexOf(document.activeElement.closest(".card"));
    const columns = columnCount(all);
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -place };
    if (event.code in verdicts && place >= 0) judgeByKey(all, place, verdicts[event.code], event.shiftKey);
    else if (event.key === " " && place >= 0) judgeByKey(all, place, verdictOf(all[place]) ? "" : "relevant", event.shiftKey);
    else if (event.key === "Enter" && all[place] === event.target) location.assign(all[place].querySelector("a").href);
    else if (event.key in steps) focus(Math.max(0, place + steps[event.key]));
    else if (event.key === "End") focus(all.length - 1);
    else if (event.key.toLowerCase() === "u") undo();
    else if (event.key.toLowerCase() === "n" && find("following")) next();
    else return;
    event.preventDefault();
  }

  /** With Shift, all from where the last judgement was up to here. */
  function judgeByKey(all, place, verdict, range) {
    const from = range ? Math.min(anchor, place) : place;
    const to = range ? Math.max(anchor, place) : place;
    judge(all.slice(from, to + 1), verdict);
    anchor = place;
    focus(place + 1);
  }

  function focus(place) {
    const card = cards()[place];
    card?.focus();
    card?.scrollIntoView({ block: "nearest" });
  }

  function onFocus(event) {
    const card = event.target.closest?.(".card");
    if (!card) return;
    for (const other of cards()) other.tabIndex = other === card ? 0 : -1;
  }

  function columnCount(all) {
    const second = all.findIndex((card) => card.offsetTop > all[0].offsetTop);
    return second < 0 ? all.length : second;
  }

  function onPictureError(event) {
    if (event.target.matches?.(".picture img")) event.target.parentElement.classList.add("missing");
  }
})();
