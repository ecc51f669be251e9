// The pages of duplicates work by links and forms. This script decides without a reload, and adds keys.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  const POLL_MS = 1500;
  // Groups that were kept or dismissed here, the last one last.
  const decided = [];
  let working = Promise.resolve();

  document.addEventListener("DOMContentLoaded", start);

  function start() {
    document.addEventListener("error", onPictureError, true);
    if (document.querySelector("[data-running]")) setTimeout(poll, POLL_MS);
    if (!find("groups")) return;
    document.addEventListener("submit", onSubmit);
    document.addEventListener("keydown", onKey);
    document.addEventListener("focusin", onFocus);
    ready();
    cards()[0]?.focus({ preventScroll: true });
  }

  const groups = () => [...document.querySelectorAll(".group")];
  const cards = (within = document) => [...within.querySelectorAll(".group .card")];

  function ready() {
    cards().forEach((card, place) => (card.tabIndex = place ? -1 : 0));
  }

  async function poll() {
    const page = await read(fetch(location.href)).catch(() => null);
    if (page?.querySelector("[data-running]")) {
      find("main").replaceChildren(...page.getElementById("main").childNodes);
      setTimeout(poll, POLL_MS);
    } else location.reload();
  }

  // Deciding ----------------------------------------------------------------------------------------------------------

  function onSubmit(event) {
    if (!event.target.matches(".group form, #merging")) return;
    event.preventDefault();
    decide(event.target, event.submitter?.value);
  }

  /** Send a group's form with an action, show what the page says then, and go to the group that takes its place. */
  function decide(form, action) {
    const body = new URLSearchParams(new FormData(form));
    body.set("action", action);
    const place = Math.max(0, groups().indexOf(form.closest(".group")));
    working = working.then(() => send(body, form.getAttribute("action"))).then(
      () => {
        if (action === "keep" || action === "dismiss") decided.push(body.get("group"));
        focus(cards(groups()[Math.min(place, groups().length - 1)])[0]);
      },
      (error) => trouble(`Not saved: ${error.message}`),
    );
  }

  function undo() {
    const group = decided.pop();
    if (!group) return;
    const body = new URLSearchParams({ action: "reopen", group, state: "open", after: "0" });
    working = working
      .then(() => send(body, `${location.pathname}/groups`))
      .then(() => focus(cards(find(`group-${group}`) ?? document)[0]), (error) => trouble(`Not undone: ${error.message}`));
  }

  async function send(body, address) {
    const page = await read(fetch(address, { method: "POST", body }));
    find("groups").replaceChildren(...page.getElementById("groups").childNodes);
    for (const count of document.querySelectorAll("[data-count]")) {
      count.textContent = page.querySelector(`[data-count=${count.dataset.count}]`).textContent;
    }
    find("status").textContent = `${document.querySelector("[data-count=open]").textContent} groups are open`;
    trouble("");
    ready();
  }

  async function read(answer) {
    const response = await answer;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (!response.ok) throw new Error(page.querySelector("[role=alert] p")?.textContent ?? response.statusText);
    return page;
  }

  function trouble(text) {
    find("trouble").textContent = text;
    find("trouble").hidden = !text;
  }

  // Keys --------------------------------------------------------------------------------------------------------------

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, [type=text], textarea")) return;
    const card = document.activeElement.closest(".card");
    const key = event.key.toLowerCase();
    if (key === "u") undo();
    else if (key === "m" && find("merging")) decide(find("merging"), "merge");
    else if (!card || !act(card, event.key.length === 1 ? key : event.key)) return;
    event.preventDefault();
  }

  function act(card, key) {
    const group = card.closest(".group");
    const form = group.querySelector("form");
    const open = group.classList.contains("open");
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    const leaps = { ArrowUp: -1, ArrowDown: 1 };
    if (key in steps) focus(cards()[cards().indexOf(card) + steps[key]]);
    else if (key in leaps) focus(cards(groups()[groups().indexOf(group) + leaps[key]] ?? group)[0]);
    else if (key === "Enter" && document.activeElement === card) location.assign(card.querySelector("a").href);
    else if (key === "k" && open) {
      card.querySelector("[type=radio]").checked = true;
      decide(form, "keep");
    } else if (key === "d" && open) decide(form, "dismiss");
    else if (key === "s" && open) decide(form, "split");
    else if (key === "x" && open) toggle(card.querySelector("[type=checkbox]"));
    else if (key === "g" && open) toggle(group.querySelector("[name=groups]"));
    else return false;
    return true;
  }

  function toggle(box) {
    if (box) box.checked = !box.checked;
  }

  function focus(card) {
    card?.focus();
    card?.scrollIntoView({ block: "nearest" });
  }

  function onFocus(event) {
    const card = event.target.closest?.(".group .card");
    if (!card) return;
    for (const other of cards()) other.tabIndex = other === card ? 0 : -1;
  }

  function onPictureError(event) {
    if (event.target.matches?.(".picture img")) event.target.parentElement.classList.add("missing");
  }
})();
