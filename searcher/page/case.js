// The pages of cases work by links and forms. This script saves each judgement at once, adds keys, fetches the next
// pictures while these are judged, and shows pictures large and side by side.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  // What was judged together, to be undone together; and the pages before this one, with what was judged on them.
  let done = [];
  const pages = [];
  // Saved one request after another, so that the ledger has them in the order in which they were made; what is still to
  // be saved, by case and card.
  let saving = Promise.resolve();
  const unsaved = new Map();
  let ahead = null;
  let cards = [];
  let current = 0;
  let anchor = 0;
  let columns = 0;
  // The next pictures are asked for once so much of the page is judged.
  const aheadFrom = 0.75;
  // A picture is looked at closely, and not passed by, once it is shown for so long.
  const settledMilliseconds = 250;

  document.addEventListener("DOMContentLoaded", start);

  function start() {
    document.addEventListener("error", onPictureError, true);
    if (!find("judging")) return;
    document.addEventListener("change", onChange);
    document.addEventListener("keydown", onKey);
    document.addEventListener("focusin", onFocus);
    document.addEventListener("click", onClick);
    addEventListener("resize", () => (columns = 0));
    addEventListener("pagehide", () => unsaved.forEach((waiting, id) => send(id, waiting)));
    hideJudged(remembered());
    take();
  }

  /** Begin with the pictures that are there now. */
  function take() {
    cards = [...document.querySelectorAll("#judging .card")];
    current = anchor = columns = 0;
    cards.forEach((card, place) => (card.tabIndex = place ? -1 : 0));
    if (find("back")) find("back").hidden = !pages.length;
    if (hiding()) move(0, 1);
    else cards[0]?.focus({ preventScroll: true });
  }

  const verdictOf = (card) => card.querySelector(".verdicts").dataset.verdict;
  const imageOf = (card) => card.querySelector(".verdicts").dataset.image;
  // Alerts are of several cases.
  const caseOf = (card) => card.dataset.case ?? find("judging").dataset.case;

  // Judging -----------------------------------------------------------------------------------------------------------

  function onChange(event) {
    if (event.target.matches(".verdicts input")) judge([event.target.closest(".card")], event.target.value);
    if (event.target.id === "hide") {
      hideJudged(event.target.checked);
      remember(event.target.checked);
    }
  }

  function judge(chosen, verdict) {
    const changes = chosen.map((card) => [card, verdict]);
    done.push(chosen.map((card) => [card, verdictOf(card)]));
    put(changes);
  }

  function undo() {
    const before = done.pop();
    if (!before) return tell("Nothing is left to undo on this page.");
    put(before);
    focus(before[0][0]);
    return tell("Undone");
  }

  /** Show verdicts and save them; where that fails they are shown as they were, and it is said. */
  function put(changes) {
    for (const [card, verdict] of changes) {
      const said = { ...JSON.parse(imageOf(card)), verdict: verdict || "withdrawn" };
      if (!unsaved.has(caseOf(card))) unsaved.set(caseOf(card), new Map());
      const waiting = unsaved.get(caseOf(card));
      const { before } = waiting.get(card) ?? { before: verdictOf(card) };
      waiting.delete(card);
      waiting.set(card, { said, before });
    }
    show(changes);
    saving = saving.then(saveAll);
  }

  /** Save what has come together while the last request was under way. */
  async function saveAll() {
    for (const [id, waiting] of [...unsaved]) {
      unsaved.delete(id);
      try {
        await save(id, waiting);
      } catch (error) {
        show([...waiting].map(([card, { before }]) => [card, before]));
        trouble(`Not saved: ${error.message}`);
      }
    }
  }

  function show(changes) {
    for (const [card, verdict] of changes) {
      const fieldset = card.querySelector(".verdicts");
      card.classList.remove("relevant", "not_relevant", "unsure");
      if (verdict) card.classList.add(verdict);
      fieldset.dataset.verdict = verdict;
      for (const radio of fieldset.querySelectorAll("[type=radio]")) radio.checked = radio.value === verdict;
    }
    if (find("look").open) fillLook();
  }

  function send(id, waiting) {
    const { sample } = find("judging").dataset;
    const judgements = [...waiting.values()].map(({ said }) => said);
    const body = JSON.stringify(sample ? { judgements, sample } : { judgements });
    const headers = { "content-type": "application/json" };
    // What is under way when the page is left arrives all the same; browsers allow so many bytes of this.
    return fetch(`/v1/cases/${id}/judgements`, { method: "POST", headers, body, keepalive: body.length < 60_000 });
  }

  async function save(id, waiting) {
    const response = await send(id, waiting);
    const reply = await response.json();
    if (!response.ok) throw new Error(reply.detail);
    trouble("");
    for (const count of document.querySelectorAll("[data-count]")) count.textContent = reply[count.dataset.count];
    tell(`${reply.relevant} relevant of ${reply.judged} judged`);
    const judged = cards.filter(verdictOf).length;
    if (find("waiting")) find("waiting").textContent = Number(find("waiting").dataset.others) + cards.length - judged;
    if (!ahead && find("following") && judged >= aheadFrom * cards.length && judged < cards.length) lookAhead();
  }

  function trouble(text) {
    find("trouble").textContent = text;
    find("trouble").hidden = !text;
  }

  function tell(text) {
    find("status").textContent = text;
  }

  // Pages -------------------------------------------------------------------------------------------------------------

  /** Ask for the next pictures, and have the browser fetch them. */
  function lookAhead() {
    ahead = fetchPage(find("following").href);
    ahead.then((page) => {
      for (const picture of page?.querySelectorAll(".card img") ?? []) new Image().src = picture.getAttribute("src");
    });
  }

  /** The page at an address; null where it can't be had, or is another than the one asked for. */
  async function fetchPage(address) {
    try {
      const response = await fetch(address);
      if (!response.ok || response.redirected) return null;
      return new DOMParser().parseFromString(await response.text(), "text/html");
    } catch {
      return null;
    }
  }

  /** The next pictures, once everything is saved. */
  async function next() {
    await saving;
    if (!find("trouble").hidden) return;
    const address = find("following").href;
    const page = await (ahead ?? fetchPage(address));
    ahead = null;
    const form = page?.getElementById("judging");
    if (!form) {
      location.assign(address);
      return;
    }
    // What was judged while it was fetched is known already.
    const judged = new Set(cards.filter(verdictOf).map((card) => JSON.parse(imageOf(card)).image_id));
    for (const card of form.querySelectorAll(".card")) {
      if (judged.has(JSON.parse(imageOf(card)).image_id)) card.remove();
    }
    if (!form.querySelector(".card")) return location.assign(address);
    pages.push({ form: find("judging"), done });
    done = [];
    swap(form);
    tell(`${cards.length} further pictures`);
  }

  /** The page before, with what was judged on it taken back: for a round that led astray. */
  async function back() {
    await saving;
    const before = pages.pop();
    if (!before) return;
    ahead = null;
    done = [];
    swap(before.form);
    // The oldest entry of a card is what it was before this page was judged.
    const first = new Map();
    for (const [card, verdict] of before.done.flat().reverse()) first.set(card, verdict);
    const changes = [...first].filter(([card, verdict]) => verdictOf(card) !== verdict);
    if (changes.length) put(changes);
    tell(`Back, and ${changes.length} judgements taken back`);
  }

  function swap(form) {
    find("judging").replaceWith(form);
    form.scrollIntoView();
    take();
  }

  // Keys --------------------------------------------------------------------------------------------------------------

  const verdicts = { Digit1: "relevant", Digit2: "not_relevant", Digit3: "unsure", Digit0: "" };
  for (const digit of [0, 1, 2, 3]) verdicts[`Numpad${digit}`] = verdicts[`Digit${digit}`];

  function onKey(event) {
    const typing = "select, textarea, input:not([type=radio], [type=checkbox])";
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches(typing)) return;
    const looking = find("look").open;
    const card = cards[current];
    const within = card !== undefined && (looking || document.activeElement.closest(".card") === card);
    const letters = { u: undo, b: back, z: () => look(false), c: () => look(true), x: () => pick(card), h: toggleHidden };
    const [key, way] = [event.key.toLowerCase(), step(event.key)];
    if (event.code in verdicts && within) judgeByKey(verdicts[event.code], event.shiftKey);
    else if (event.key === " " && within) judgeByKey(verdictOf(card) ? "" : "relevant", event.shiftKey);
    else if (event.key === "Enter" && card === event.target) location.assign(card.querySelector("a").href);
    else if (way && (within || document.activeElement === document.body)) move(current + way, Math.sign(way));
    else if (key in letters && !(key === "x" && !within)) letters[key]();
    else if (key === "n" && find("following")) next();
    else return;
    event.preventDefault();
  }

  function step(key) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columnCount(), ArrowDown: columnCount() };
    return { ...steps, Home: -cards.length, End: cards.length }[key] ?? 0;
  }

  /** With Shift, all from where the last judgement was up to here. */
  function judgeByKey(verdict, range) {
    const place = current;
    const [from, to] = range ? [Math.min(anchor, place), Math.max(anchor, place)] : [place, place];
    judge(cards.slice(from, to + 1), verdict);
    anchor = place;
    if (place + 1 < cards.length) move(place + 1, 1);
    else find("following")?.focus();
  }

  /** The focus to the card at this place, or the next one this way that is not hidden. */
  function move(place, way) {
    let to = Math.min(cards.length - 1, Math.max(0, place));
    while (cards[to] && hidden(cards[to])) to += way;
    if (cards[to]) focus(cards[to]);
    else if (way > 0) find("following")?.focus();
  }

  function focus(card) {
    if (find("look").open) setCurrent(card);
    else card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
    if (find("look").open) fillLook();
  }

  function onFocus(event) {
    const card = event.target.closest?.(".card");
    if (card) setCurrent(card);
  }

  function setCurrent(card) {
    const place = cards.indexOf(card);
    if (place < 0) return;
    cards[current].tabIndex = -1;
    current = place;
    card.tabIndex = 0;
  }

  function columnCount() {
    const grid = document.querySelector("#judging .grid");
    columns ||= getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    return columns;
  }

  // Hiding what is judged ---------------------------------------------------------------------------------------------

  const hiding = () => find("main").classList.contains("hide-judged");
  const hidden = (card) => hiding() && verdictOf(card) !== "";

  function hideJudged(wanted) {
    const box = find("hide");
    if (!box) return;
    box.checked = wanted;
    find("main").classList.toggle("hide-judged", wanted);
  }

  function toggleHidden() {
    find("hide")?.click();
    move(current, 1);
  }

  function remembered() {
    try {
      return localStorage.getItem("hide-judged") === "true";
    } catch {
      return false;
    }
  }

  function remember(wanted) {
    try {
      localStorage.setItem("hide-judged", wanted);
    } catch {
      // Storage may be forbidden; then the choice lasts as long as the page.
    }
  }

  // Looking closely ---------------------------------------------------------------------------------------------------

  function pick(card) {
    card.classList.toggle("picked");
    tell(card.classList.contains("picked") ? "Picked to compare" : "No longer picked");
  }

  /** Show the picture large; or, to compare, beside the seeds and with all that were picked. */
  function look(comparing) {
    const dialog = find("look");
    const same = dialog.open && dialog.classList.contains("comparing") === comparing;
    dialog.classList.toggle("comparing", comparing);
    if (same) dialog.close();
    else if (!dialog.open) dialog.showModal();
    if (dialog.open) fillLook();
    else cards[current]?.focus();
  }

  function fillLook() {
    const comparing = find("look").classList.contains("comparing");
    const picked = comparing ? cards.filter((card) => card.classList.contains("picked")) : [];
    const seeds = comparing ? [...document.querySelectorAll(".seeds img")] : [];
    const shown = picked.length ? picked : [cards[current]];
    find("look-pictures").replaceChildren(...seeds.map((seed) => figure(seed, seed.alt, "")), ...shown.map(figureOf));
  }

  function figureOf(card) {
    const words = { relevant: "relevant", not_relevant: "not relevant", unsure: "unsure" };
    const title = card.querySelector(".title").textContent;
    const verdict = words[verdictOf(card)] ?? "not judged";
    const shown = figure(card.querySelector(".picture img"), title, verdict, card.dataset.source);
    if (card.dataset.source) enlarge(shown, JSON.parse(card.querySelector("[data-image]").dataset.image).image_id);
    return shown;
  }

  /** Put the picture itself in the thumbnail's place, where its URL still has it; but not while others are passed by. */
  function enlarge(shown, imageId) {
    setTimeout(() => {
      if (!shown.isConnected) return;
      const whole = new Image();
      whole.addEventListener("load", () => {
        shown.querySelector("img").src = whole.src;
        shown.classList.add("whole");
      });
      whole.src = `/picture?image_id=${encodeURIComponent(imageId)}`;
    }, settledMilliseconds);
  }

  function figure(picture, title, verdict, source) {
    const shown = document.createElement("figure");
    const image = document.createElement("img");
    image.src = picture.getAttribute("src");
    image.alt = title;
    const caption = document.createElement("figcaption");
    caption.textContent = verdict ? `${title}: ${verdict} ` : title;
    if (source) {
      const link = document.createElement("a");
      Object.assign(link, { href: source, rel: "noreferrer noopener", target: "_blank", textContent: "at its source ↗" });
      caption.append(link);
    }
    shown.append(image, caption);
    return shown;
  }

  function onClick(event) {
    const { id } = event.target;
    const actions = { back, following: next, zoom: () => look(false), compare: () => look(true) };
    if (id === "look-close") find("look").close();
    else if (Object.hasOwn(actions, id) && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      actions[id]();
    }
  }

  function onPictureError(event) {
    if (event.target.matches?.(".picture img")) event.target.parentElement.classList.add("missing");
  }
})();
