"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el} = hicm.dom;
  const OWN = "That summary is one of this video's own captions, so another caption was read instead.";
  const OPEN = 1;  // windows whose tree is open at first

  /**
   * What was recalled during the chosen event: trees from the top summary down to captions.
   * @param {hicm.Session} session
   * @returns {HTMLElement} hidden where no lane has any
   */
  function memory(session) {
    const body = el("div", {class: "windows"});
    const element = el("div", {class: "memory", role: "group", "aria-label": "Recalled from memory"},
                       el("p", {class: "heading", "aria-hidden": "true", text: "Recalled from memory"}), body);
    element.hidden = !session.lanes.some((lane) => lane.recalled.length);
    let shown = null;
    const update = () => {
      const found = session.found;
      const windows = found ? overlapping(session.lanes[found.lane].recalled, found.event) : [];
      const key = found && `${found.lane} ${windows.map((window) => window.start).join(" ")}`;
      if (key === shown && key !== null) return;
      shown = key;
      body.replaceChildren(...windows.length ? windows.map((window, number) => branch(window, number < OPEN, session))
        : [el("p", {class: "quiet", text: found ? "Nothing was recalled during this event."
          : "Choose an event to see what was recalled for it."})]);
    };
    session.on("choice events", update);
    update();
    return element;
  }

  /** The windows that overlap an event, the largest overlap first. */
  function overlapping(windows, event) {
    const {low, high} = hicm.layout;
    const shared = (window) => Math.min(window.end, high(event)) - Math.max(window.start, low(event));
    return windows.filter((window) => shared(window) > 1e-6).sort((one, other) => shared(other) - shared(one));
  }

  function branch(window, open, session) {
    const times = `${hicm.time.clock(window.start, 1)} – ${hicm.time.clock(window.end, 1)}`;
    const finest = best(window.nodes);
    const details = el("details", {open},
      el("summary", {}, el("span", {class: "times", text: times}),
        el("span", {class: "text", dir: "auto", text: finest?.text ?? ""}),
        el("span", {class: "score", text: finest ? finest.score.toFixed(2) : ""})));
    const fill = () => {
      if (details.open && details.children.length === 1) {
        details.append(tree(window.nodes),
          el("button", {type: "button", class: "quiet-button", text: `Go to ${hicm.time.clock(window.start, 1)}`,
                        on: {click: () => session.seek(window.start)}}));
      }
    };
    details.addEventListener("toggle", fill);
    fill();
    return details;
  }

  /** The best node of the finest level that has scores. */
  function best(nodes) {
    const all = nodes.flatMap(function flat(node) {
      return [node, ...(node.below ?? []).flatMap(flat)];
    }).filter((node) => typeof node.score === "number");
    const reach = (node) => node.lowest ?? node.level;
    const finest = Math.min(...all.map(reach));
    return all.filter((node) => reach(node) === finest).sort((one, other) => other.score - one.score)[0] ?? null;
  }

  function tree(nodes) {
    return el("ul", {class: "tree"}, ...nodes.map((node) => {
      const scored = typeof node.score === "number";
      const meter = el("span", {class: "meter", "aria-hidden": "true"});
      meter.style.setProperty("--share", scored ? Math.min(Math.max(node.score, 0), 1) : 0);
      return el("li", {}, el("div", {class: node.level === 0 ? "node leaf" : "node"},
        el("span", {class: "level", text: levelName(node)}),
        el("span", {class: "words"},
          el("span", {class: "text", dir: "auto", text: node.text}),
          node.replaced ? el("small", {class: "replaced", text: ` replaces “${node.replaced}”`, title: OWN}) : null,
          node.source ? el("small", {text: ` ${node.source}`}) : null,
          node.more ? el("small", {text: ` ${node.more} more captions`}) : null),
        scored ? el("span", {class: "score", title: "Cosine to the window's frames"}, meter, node.score.toFixed(2))
          : null),
      node.below?.length ? tree(node.below) : null);
    }));
  }

  function levelName(node) {
    if (node.level === 0) return "caption";
    const lowest = node.lowest ?? node.level;
    return lowest < node.level ? `level ${node.level}–${lowest || "caption"}` : `level ${node.level}`;
  }

  hicm.parts.memory = memory;
}
