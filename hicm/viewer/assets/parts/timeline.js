"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el, iconButton, eachFrame} = hicm.dom;
  const COMPACT = 620;  // pixels below which the names of lanes stand above their rows

  /**
   * Lanes of events over time, with a ruler, a map of the whole video and a playhead.
   * @param {hicm.Session} session
   * @returns {HTMLElement}
   */
  function timeline(session) {
    const {viewport, player} = session;
    const map = el("canvas", {role: "img", "aria-label": "Map of the whole video"});
    const frame = el("div", {class: "window"}), mapHead = el("div", {class: "map-head"});
    const mapBox = el("div", {class: "map"}, map, frame, mapHead);
    const scale = el("canvas", {class: "scale", "aria-hidden": "true"});
    const canvas = el("canvas", {role: "img"});
    const tip = el("div", {class: "tip", hidden: true, "aria-hidden": "true"});
    const tracks = el("div", {class: "tracks"}, canvas);
    const names = el("div", {class: "names"});
    const scroller = el("div", {class: "scroller"}, names, tracks);
    const playhead = el("div", {class: "playhead"});
    const board = el("div", {class: "board"}, mapBox, scale, scroller, playhead, tip);

    const shown = {groups: [], rows: 0, layout: [], colours: null, hover: null, compact: false};
    const arrange = () => {
      Object.assign(shown, hicm.layout.rows(session.lanes));
      shown.layout = hicm.paint.places(shown.groups, shown.compact);
      writeNames(session, names, shown);
      const count = session.lanes.reduce((sum, lane) => sum + lane.events.length, 0);
      canvas.setAttribute("aria-label", `Timeline of ${count} events; the list of events holds the same`);
    };
    const drawHead = () => {
      const x = viewport.x(player.time);
      playhead.hidden = x < -1 || x > viewport.width + 1;
      playhead.style.transform = `translateX(${tracks.offsetLeft + x}px)`;
      mapHead.style.transform = `translateX(${player.time / session.duration * viewport.width}px)`;
    };
    const drawView = () => {
      if (!shown.colours || viewport.width < 2) return;
      hicm.paint.ruler(scale, viewport, shown.colours);
      hicm.paint.lanes(canvas, session, shown.layout, shown.colours, shown.hover);
      frame.style.left = `${viewport.start / session.duration * 100}%`;
      frame.style.width = `${(viewport.end - viewport.start) / session.duration * 100}%`;
      frame.hidden = viewport.whole;
      drawHead();
    };
    const drawAll = () => {
      shown.colours = hicm.paint.palette(board, session.lanes);
      drawView();
      hicm.paint.minimap(map, session, shown.groups, shown.rows, shown.colours, viewport.width);
    };
    const [soon, allSoon, headSoon] = [eachFrame(drawView), eachFrame(drawAll), eachFrame(drawHead)];

    session.on("view choice query", soon);
    session.on("hover", (key) => {
      shown.hover = key;
      soon();
    });
    session.on("events", () => {
      arrange();
      allSoon();
    });
    session.on("lane", () => writeNames(session, names, shown));
    session.on("time", () => {
      if (player.playing && viewport.follow(player.time)) soon();
      else headSoon();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", allSoon);
    new ResizeObserver(() => {
      const compact = board.clientWidth < COMPACT;
      if (compact !== shown.compact || !shown.layout.length) {
        shown.compact = compact;
        board.classList.toggle("compact", compact);
        arrange();
      }
      viewport.width = tracks.clientWidth;
      drawAll();
    }).observe(tracks);
    arrange();

    hicm.gestures.onTracks(session, {canvas, scale, tip, board, shown});
    hicm.gestures.onMap(session, mapBox);
    hicm.gestures.onWheel(session, board, tracks);
    return el("div", {class: "timeline", role: "group", "aria-label": "Timeline"}, tools(session), board);
  }

  function tools(session) {
    const {viewport, player} = session;
    const zoom = (factor) => {
      viewport.zoom(factor, within(viewport, player.time));
      session.emit("view");
    };
    session.zoom = zoom;
    session.fit = () => {
      viewport.fit();
      session.emit("view");
    };
    const undo = iconButton("undo", "Undo", "Ctrl Z", () => session.undo());
    const redo = iconButton("redo", "Redo", "Ctrl Shift Z", () => session.redo());
    const add = el("button", {type: "button", class: "add", title: "Add an event at the playhead (n)",
                              "aria-label": "Add an event at the playhead",
                              on: {click: () => session.addHere()}}, hicm.dom.icon("add"), el("span", {text: "Event"}));
    const farther = iconButton("farther", "Zoom out", "-", () => zoom(2));
    const closer = iconButton("closer", "Zoom in", "+", () => zoom(0.5));
    const fit = iconButton("fit", "Show the whole video", "0", () => session.fit());
    const update = () => {
      undo.disabled = !session.history.past.length;
      redo.disabled = !session.history.future.length;
      add.disabled = !session.lanes.length;
      farther.disabled = fit.disabled = viewport.whole;
    };
    session.on("events view", update);
    update();
    return el("div", {class: "tools", role: "group", "aria-label": "Timeline tools"}, add, undo, redo,
              el("span", {class: "space"}), farther, closer, fit);
  }

  function within(viewport, time) {
    return time >= viewport.start && time <= viewport.end ? time : (viewport.start + viewport.end) / 2;
  }

  function writeNames(session, names, shown) {
    const several = new Set();
    shown.groups.forEach((group, place) => {
      if (shown.groups.some((other, at) => at !== place && other.lane === group.lane)) several.add(group.lane);
    });
    names.replaceChildren(...shown.layout.flatMap(({top, group, starts}) => {
      const lane = session.lanes[group.lane];
      const level = several.has(group.lane) && group.level !== null ? `level ${group.level}` : "";
      const move = (element, y) => {
        element.style.top = `${y}px`;
        return element;
      };
      const made = [];
      if (starts) {
        const name = el("button", {type: "button", class: "name", title: `${lane.name}: work in this lane`,
                                   "aria-pressed": String(group.lane === session.lane),
                                   dataset: {colour: hicm.colours.name(session.lanes, group.lane)},
                                   on: {click: () => session.setLane(group.lane)}},
                        el("span", {class: "lane-name", text: lane.name}),
                        level ? el("small", {text: level}) : null);
        made.push(move(name, top - (shown.compact ? hicm.paint.HEAD : 0)));
      } else if (level && !shown.compact) {
        made.push(move(el("small", {class: "level", text: level}), top));
      }
      return made;
    }));
  }

  hicm.parts.timeline = timeline;
}
