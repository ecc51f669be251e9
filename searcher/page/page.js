// The page works by links and forms. This script takes their answers apart and puts the parts in place, without a
// reload; and it adds what HTML has not: dropping, pasting, cropping, sliders, ranges of ticks, and keys.
"use strict";

(() => {
  const find = (id) => document.getElementById(id);
  // Uploaded files by the code that the server found for them: a crop needs the whole picture again.
  const uploads = new Map();
  const uploadsMax = 20;
  let pending = null;
  let retry = 0;
  let anchor = 0;

  document.addEventListener("DOMContentLoaded", start);

  function start() {
    if (history.state?.seed) find("seed").innerHTML = history.state.seed;
    document.addEventListener("submit", onSubmit);
    document.addEventListener("click", onClick);
    document.addEventListener("input", onInput);
    document.addEventListener("change", onChange);
    document.addEventListener("keydown", onKey);
    document.addEventListener("focusin", (event) => event.target.matches(".grid input") && rove(event.target));
    document.addEventListener("paste", onPaste);
    // Errors of pictures do not bubble; they are met on their way down.
    document.addEventListener("error", onPictureError, true);
    addEventListener("popstate", (event) => show(location.href, null, { seed: event.state?.seed }));
    listenToDrops();
    listenToCropping();
    arrange();
  }

  // Asking and showing ------------------------------------------------------------------------------------------------

  function ask(parameters) {
    const text = new URLSearchParams([...parameters].filter(([, value]) => typeof value === "string" && value.trim()));
    return `/?${text}`;
  }

  function formParameters(submitter) {
    return new FormData(find("search"), submitter ?? undefined);
  }

  function go(address, options = {}) {
    return show(address, null, { push: true, ...options });
  }

  function upload(file, crop = "") {
    if (file.size > Number(document.body.dataset.uploadBytesMax)) {
      fail("The picture is larger than this server takes.");
      return;
    }
    const form = formParameters();
    for (const name of ["image", "find", "image_id", "code", "encoder", "crop", "explain"]) form.delete(name);
    form.set("image", file);
    form.set("crop", crop);
    show("/", form, { push: true, file });
  }

  async function show(address, form, options = {}) {
    clearTimeout(retry);
    pending?.abort();
    const request = (pending = new AbortController());
    find("results").setAttribute("aria-busy", "true");
    let page;
    try {
      const response = await fetch(address, { method: form ? "POST" : "GET", body: form, signal: request.signal });
      page = await read(response, options);
    } catch (error) {
      if (error.name !== "AbortError") fail("The searcher does not answer. Try again in a moment.", options);
      return;
    }
    if (!page) return;
    const failed = page.querySelector("#results .failed p")?.textContent;
    if (failed && options.below) fail(failed, options);
    else if (failed) putFailure(page, () => show(address, form, options));
    else (options.below ? putBelow : put)(page, options);
    if (options.focus) find(options.focus)?.focus();
  }

  /** Only the results tell of a failure: the seed and what refines it stay, to be tried again. */
  function putFailure(page, again) {
    find("results").replaceWith(page.getElementById("results"));
    const seconds = page.querySelector('meta[http-equiv="refresh"]')?.content;
    if (seconds) retry = setTimeout(again, Number(seconds) * 1000);
  }

  /** The document of a reply; what is refused before the page is reached (a body too large) is a problem document. */
  async function read(response, options) {
    const text = await response.text();
    const isPage = (response.headers.get("content-type") ?? "").startsWith("text/html");
    if (!isPage) fail(JSON.parse(text).detail, options);
    return isPage ? new DOMParser().parseFromString(text, "text/html") : null;
  }

  function put(page, { push = false, file = null, seed = null, refining = false }) {
    const ticked = new Set([...document.querySelectorAll(".grid :checked")].map((box) => box.dataset.id));
    const sameSeed = seedKey(document) === seedKey(page);
    const asking = find("why")?.open;
    // A control that is being used stays; around it only the list of filters and the histogram may have changed.
    const refined = refining ? ["filters", "histogram"] : ["refine"];
    for (const id of ["results", ...(sameSeed ? [] : ["seed"]), ...refined]) {
      find(id).replaceWith(page.getElementById(id));
    }
    if (!refining) find("find").value = page.getElementById("find").value;
    if (seed) find("seed").innerHTML = seed;
    if (asking) find("why")?.setAttribute("open", "");
    document.title = page.title;
    if (file) keepUpload(file);
    if (sameSeed) for (const box of boxes()) box.checked = ticked.has(box.dataset.id);
    if (push) history.pushState({ seed: find("seed").innerHTML }, "", find("results").dataset.link);
    tell(document.querySelector(".verdict") ?? document.querySelector("#results h1"));
    if (push && !refining) scrollTo(0, 0);
    arrange();
  }

  /** The next images below those that are there; what is told of them is told of all, from where they start. */
  function putBelow(page) {
    const grid = document.querySelector(".grid");
    const next = page.querySelectorAll(".grid > *");
    const starts = [...document.querySelectorAll(".heading .start")].map((start) => start.textContent);
    for (const part of [".heading", "#histogram", ".more"]) {
      const changed = page.querySelector(part);
      if (changed) document.querySelector(part).replaceWith(changed);
      else document.querySelector(part).remove();
    }
    document.querySelectorAll(".heading .start").forEach((start, place) => (start.textContent = starts[place]));
    grid.append(...next);
    find("results").removeAttribute("aria-busy");
    tell(document.querySelector("#results h1"));
    arrange();
    next[0]?.querySelector("input").focus({ preventScroll: true });
  }

  function tell(part) {
    find("status").textContent = part?.textContent.replace(/\s+/g, " ").trim() ?? "";
  }

  function seedKey(page) {
    const names = ["image_id", "crop", "code"];
    return names.map((name) => page.querySelector(`#seed [name="${name}"]`)?.value ?? "").join("\n");
  }

  function seedCode() {
    return document.querySelector('#seed [name="code"]')?.value;
  }

  function keepUpload(file) {
    const code = seedCode();
    if (!code) return;
    uploads.set(code, file);
    if (uploads.size > uploadsMax) uploads.delete(uploads.keys().next().value);
  }

  function fail(text, { below = false } = {}) {
    find("results").removeAttribute("aria-busy");
    if (below) {
      // The images that are there stay, and so does the link, to be tried again.
      document.querySelector(".more output").textContent = text;
      return;
    }
    const state = find("failure").content.cloneNode(true);
    state.querySelector("p").textContent = text;
    find("results").replaceChildren(state);
  }

  /** Brings what the script adds into agreement with a document that was just put in place. */
  function arrange() {
    anchor = 0;
    for (const link of document.querySelectorAll(".card a, .card button")) link.tabIndex = -1;
    boxes().forEach((box, place) => (box.tabIndex = place ? -1 : 0));
    syncSliders();
    countTicks();
    drawCrop();
  }

  // What users do -----------------------------------------------------------------------------------------------------

  function onSubmit(event) {
    if (event.target.id === "export") attachUpload(event);
    if (event.target.id !== "search") return;
    event.preventDefault();
    const parameters = formParameters(event.submitter);
    // What is typed counts; the seed is what was searched before.
    const seed = ["image_id", "code", "encoder", "crop", "explain"];
    if (find("find").value.trim()) for (const name of seed) parameters.delete(name);
    go(ask(parameters), { focus: document.activeElement.id === "explain" ? "explain" : null });
  }

  /** A case keeps the picture that it begins with. */
  function attachUpload(event) {
    const file = uploads.get(seedCode());
    if (!file || event.submitter?.getAttribute("formaction") !== "/cases") return;
    const files = new DataTransfer();
    files.items.add(file);
    event.target.querySelector('[name="seed_picture"]').files = files.files;
  }

  function onClick(event) {
    const { target } = event;
    if (target.matches?.(".grid input")) return tickTo(target, event.shiftKey);
    if (target.matches?.(".picture")) return target.querySelector("input").click();
    if (target.id === "all" || target.id === "none") {
      for (const box of boxes()) box.checked = target.id === "all";
      return countTicks();
    }
    if (target.id === "crop-start") return startCrop();
    if (target.id === "crop-clear") return applyCrop("");
    const link = target.closest?.("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return undefined;
    if (link.id === "permalink") {
      event.preventDefault();
      return copyLink(link);
    }
    if (link.closest("#filters")) {
      event.preventDefault();
      link.closest(".chip").remove();
      return refine(0);
    }
    if (link.getAttribute("href").startsWith("#")) {
      event.preventDefault();
      return come(find(link.getAttribute("href").slice(1)));
    }
    if (link.closest(".more")) {
      event.preventDefault();
      return show(link.href, null, { below: true });
    }
    if (link.matches(".go")) {
      event.preventDefault();
      return go(link.getAttribute("href"));
    }
    return undefined;
  }

  function onInput(event) {
    const { id } = event.target;
    if (id === "k-slider") find("k").value = countAt(Number(event.target.value));
    if (id === "radius-slider") {
      const any = event.target.value === event.target.max;
      find("radius").value = any ? "" : event.target.value;
    }
    if (event.target.closest("#refine") && id !== "filter") {
      if (!id.endsWith("-slider")) syncSliders();
      refine(250);
    }
  }

  function onChange(event) {
    if (event.target.id === "image" && event.target.files.length) upload(event.target.files[0]);
  }

  let waiting = 0;
  function refine(milliseconds) {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (find("search").reportValidity()) go(ask(formParameters()), { refining: true });
    }, milliseconds);
  }

  function onPaste(event) {
    const file = [...event.clipboardData.files].find((candidate) => candidate.type.startsWith("image/"));
    if (file) {
      event.preventDefault();
      upload(file);
    } else if (!event.target.closest?.("input")) {
      const text = event.clipboardData.getData("text").trim();
      if (/^https?:\/\/\S+$/i.test(text)) go(ask(new URLSearchParams({ url: text })));
    }
  }

  function listenToDrops() {
    let depth = 0;
    const cover = (change) => (find("drop").hidden = (depth = Math.max(0, depth + change)) === 0);
    addEventListener("dragenter", () => cover(1));
    addEventListener("dragleave", () => cover(-1));
    addEventListener("dragover", (event) => event.preventDefault());
    addEventListener("drop", (event) => {
      event.preventDefault();
      cover(-depth);
      const [file] = event.dataTransfer.files;
      const url = event.dataTransfer.getData("text/uri-list");
      if (file) upload(file);
      else if (/^https?:/i.test(url)) go(ask(new URLSearchParams({ url })));
    });
  }

  function onPictureError(event) {
    if (event.target.matches?.(".picture img")) event.target.parentElement.classList.add("missing");
  }

  async function copyLink(link) {
    try {
      await navigator.clipboard.writeText(link.href);
      link.textContent = "Copied";
    } catch {
      // Without permission to write to the clipboard the address bar has the same link.
      link.textContent = "See the address bar";
    }
    setTimeout(() => (link.textContent = "Link to this"), 1500);
  }

  // Ticks -------------------------------------------------------------------------------------------------------------

  function boxes() {
    return [...document.querySelectorAll(".grid input")];
  }

  function tickTo(box, range) {
    const all = boxes();
    const place = all.indexOf(box);
    if (range) {
      const [from, to] = [Math.min(anchor, place), Math.max(anchor, place)];
      for (const other of all.slice(from, to + 1)) other.checked = box.checked;
    }
    anchor = place;
    countTicks();
  }

  function countTicks() {
    const count = boxes().filter((box) => box.checked).length;
    const output = find("count");
    if (!output) return;
    output.textContent = `${count} ticked`;
    output.classList.toggle("some", count > 0);
    for (const button of document.querySelectorAll('[name="format"], [name="verdict"]')) button.disabled = count === 0;
  }

  // Keys --------------------------------------------------------------------------------------------------------------

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    if (target.id === "crop") onCropKey(event);
    else if (target.matches(".grid input")) onGridKey(event);
    else if (target.id === "find" && (key === "ArrowDown" || key === "Escape")) focusFirst(event);
    else if (key === "/" && !target.matches("input:not([type=checkbox], [type=range]), select")) focusFind(event);
    else if (target === document.body && key.startsWith("Arrow")) focusFirst(event);
  }

  function come(place) {
    (place.querySelector(":scope.card input") ?? place).focus();
  }

  function focusFirst(event) {
    const first = document.querySelector('.grid input[tabindex="0"]');
    if (!first) return;
    event.preventDefault();
    first.focus();
  }

  function focusFind(event) {
    event.preventDefault();
    find("find").focus();
    find("find").select();
  }

  function onGridKey(event) {
    const all = boxes();
    const place = all.indexOf(event.target);
    const columns = columnCount(all);
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -columns,
      ArrowDown: columns,
      Home: -place,
      End: all.length - 1 - place,
    };
    if (event.key === "/") return focusFind(event);
    if (event.key === "Enter") {
      event.preventDefault();
      const link = event.target.closest(".card").querySelector(".go");
      return go(link.getAttribute("href")).then(() => boxes()[0]?.focus());
    }
    if (event.key === " " && event.shiftKey) {
      event.preventDefault();
      event.target.checked = !event.target.checked;
      return tickTo(event.target, true);
    }
    if (!(event.key in steps)) return undefined;
    event.preventDefault();
    const next = all[place + steps[event.key]];
    if (!next) return undefined;
    next.focus();
    if (event.shiftKey) {
      // Shift with an arrow takes the tick of where the range began along the way.
      next.checked = all[place].checked;
      const between = all.slice(Math.min(place, all.indexOf(next)), Math.max(place, all.indexOf(next)) + 1);
      for (const box of between) box.checked = all[place].checked;
      countTicks();
    }
    return undefined;
  }

  function columnCount(all) {
    const top = (box) => box.closest(".card").offsetTop;
    const second = all.findIndex((box) => top(box) > top(all[0]));
    return second < 0 ? all.length : second;
  }

  /** One card at a time is a stop of the Tab key, with its links behind it; arrows move between cards. */
  function rove(box) {
    for (const stop of document.querySelectorAll('.grid [tabindex="0"]')) stop.tabIndex = -1;
    for (const stop of box.closest(".card").querySelectorAll("a, button, input")) stop.tabIndex = 0;
  }

  // Sliders -----------------------------------------------------------------------------------------------------------

  // Counts grow by ratios, so that 10 and 20 are as far apart on the slider as 500 and 1000.
  function countAt(position) {
    const most = Number(find("k-slider").dataset.max);
    const exact = most ** (position / 100);
    const step = 10 ** Math.max(0, Math.floor(Math.log10(exact)) - 1);
    return Math.min(most, Math.max(1, Math.round(exact / step) * step));
  }

  function syncSliders() {
    const [count, slider, radius] = [find("k"), find("k-slider"), find("radius-slider")];
    slider.value = Math.round((Math.log(Number(count.value) || 1) / Math.log(Number(slider.dataset.max))) * 100);
    radius.value = find("radius").value === "" ? radius.max : find("radius").value;
  }

  // Crop --------------------------------------------------------------------------------------------------------------

  let crop = null;

  function listenToCropping() {
    let from = null;
    const at = (event) => {
      const area = find("cropping").getBoundingClientRect();
      const within = (value) => Math.min(1, Math.max(0, value));
      return [within((event.clientX - area.left) / area.width), within((event.clientY - area.top) / area.height)];
    };
    document.addEventListener("pointerdown", (event) => {
      if (!event.target.closest?.("#cropping") || event.button || !canCrop()) return;
      event.preventDefault();
      from = at(event);
    });
    document.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = at(event);
      setCrop([Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])]);
    });
    document.addEventListener("pointerup", () => {
      if (!from) return;
      from = null;
      // A click without a drag is no crop.
      if (crop && crop[2] - crop[0] > 0.03 && crop[3] - crop[1] > 0.03) applyCrop(cropText());
      else drawCrop();
    });
  }

  function canCrop() {
    const area = find("cropping");
    return area !== null && (area.dataset.of !== "file" || uploads.has(seedCode()));
  }

  function drawCrop() {
    const area = find("cropping");
    if (!area) return;
    find("crop-start").disabled = !canCrop();
    setCrop(area.dataset.crop ? area.dataset.crop.split(",").map(Number) : null);
  }

  function setCrop(fractions) {
    crop = fractions;
    const box = find("crop");
    box.hidden = crop === null;
    if (crop === null) return;
    const percent = crop.map((value) => Math.round(value * 100));
    box.style.left = `${crop[0] * 100}%`;
    box.style.top = `${crop[1] * 100}%`;
    box.style.width = `${(crop[2] - crop[0]) * 100}%`;
    box.style.height = `${(crop[3] - crop[1]) * 100}%`;
    const [left, top, right, bottom] = percent;
    box.setAttribute("aria-label", `Crop from ${left} to ${right} % across and ${top} to ${bottom} % down`);
  }

  function startCrop() {
    if (crop === null) setCrop([0.2, 0.2, 0.8, 0.8]);
    find("crop").focus();
  }

  function onCropKey(event) {
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const [dx, dy] = ways[event.key] ?? [0, 0];
    if (event.key === "Enter") applyCrop(cropText());
    else if (event.key === "Escape") applyCrop("");
    else if (!dx && !dy) return;
    event.preventDefault();
    if (!dx && !dy) return;
    const step = 0.02;
    let [left, top, right, bottom] = crop;
    if (!event.shiftKey) {
      const move = (low, high, by) => Math.min(1 - high, Math.max(-low, by * step));
      const [x, y] = [move(left, right, dx), move(top, bottom, dy)];
      [left, right, top, bottom] = [left + x, right + x, top + y, bottom + y];
    } else {
      right = Math.min(1, Math.max(left + 0.04, right + dx * step));
      bottom = Math.min(1, Math.max(top + 0.04, bottom + dy * step));
    }
    setCrop([left, top, right, bottom]);
  }

  function cropText() {
    return crop.map((value) => Number(value.toFixed(4))).join(",");
  }

  function applyCrop(text) {
    const area = find("cropping");
    const file = uploads.get(seedCode());
    if (area.dataset.of === "file") return file ? upload(file, text) : undefined;
    if (!text && !area.dataset.crop) return drawCrop();
    const parameters = formParameters();
    for (const name of ["find", "code", "encoder"]) parameters.delete(name);
    if (area.dataset.of === "url") parameters.set("url", area.dataset.url);
    parameters.set("crop", text);
    return go(ask(parameters), { focus: document.activeElement?.id });
  }
})();
