"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el} = hicm.dom;
  const ROWS = 3;  // lines reserved per lane, so that the page does not jump

  /**
   * The captions under the playhead, a line per lane; screen readers announce those of the current lane.
   * @param {hicm.Session} session
   * @returns {HTMLElement}
   */
  function captions(session) {
    const lines = session.lanes.map((lane, number) => {
      const text = el("div", {class: "text"});
      const line = el("div", {class: "line", dataset: {colour: hicm.colours.name(session.lanes, number)}},
                      session.lanes.length > 1 ? el("span", {class: "name", text: lane.name}) : null, text);
      line.style.setProperty("--rows", Math.min(hicm.layout.levels(lane.events).length, ROWS) || 1);
      return {line, text, shown: null};
    });
    const update = () => lines.forEach((entry, number) => {
      const under = session.under(number).filter((event) => event.text.trim());
      const key = under.map((event) => event.text).join("\n");
      if (key === entry.shown) return;
      entry.shown = key;
      entry.text.replaceChildren(...under.map((event) => el("p", {dir: "auto", text: event.text})));
      entry.line.classList.toggle("silent", !under.length);
    });
    const speak = () => lines.forEach(({text}, number) => {
      text.setAttribute("aria-live", number === session.lane ? "polite" : "off");
    });
    session.on("time events", update);
    session.on("lane", speak);
    speak();
    update();
    return el("div", {class: "captions", role: "group", "aria-label": "Captions at the playhead"},
              ...lines.map(({line}) => line));
  }

  hicm.parts.captions = captions;
}
