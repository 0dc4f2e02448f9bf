"use strict";
globalThis.hicm ??= {};
{
  const EAGER = 3;  // views that are set up when the page opens; others when they are scrolled near

  /** Set up every `.viewer` of the page that holds the JSON of a view. */
  function boot() {
    const content = (element) => element.querySelector("script[type='application/json']");
    const elements = [...document.querySelectorAll(".viewer")].filter(content);
    const viewers = new Map();
    const set = (number) => {
      const element = elements[number - 1];
      if (element && !viewers.has(number)) {
        const view = JSON.parse(content(element).textContent);
        viewers.set(number, hicm.view(element, view, {number, count: elements.length,
                                                      heading: element.dataset.heading ?? "h2"}));
      }
      return viewers.get(number);
    };
    const near = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        near.unobserve(entry.target);
        set(elements.indexOf(entry.target) + 1);
      }
    }, {rootMargin: "1200px"});
    elements.forEach((element, number) => number < EAGER ? set(number + 1) : near.observe(element));
    const go = () => {
      const asked = hicm.parts.link.asked(location.hash);
      const viewer = asked && set(asked.view);
      if (!viewer) return;
      if (asked.time !== null) viewer.seek(asked.time);
      if (elements.length > 1) viewer.element.scrollIntoView();
    };
    addEventListener("hashchange", go);
    go();
  }

  hicm.boot = boot;
  if (globalThis.document) {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", boot);
    else boot();
  }
}
