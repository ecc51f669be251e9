// Pictures can be veiled until they are pointed at. What was chosen is remembered, and lies over the pictures before the
// first one is painted: this script is not deferred.
"use strict";

(() => {
  const root = document.documentElement;
  root.classList.add("js");
  root.dataset.veil = remembered() ?? "none";
  document.addEventListener("DOMContentLoaded", () => {
    const veil = document.getElementById("veil");
    veil.value = root.dataset.veil;
    veil.addEventListener("change", () => {
      root.dataset.veil = veil.value;
      remember(veil.value);
    });
  });

  function remembered() {
    try {
      return localStorage.getItem("veil");
    } catch {
      return null;
    }
  }

  function remember(value) {
    try {
      localStorage.setItem("veil", value);
    } catch {
      // Storage may be forbidden; then the choice lasts as long as the page.
    }
  }
})();
