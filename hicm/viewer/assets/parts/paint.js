"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const ROW = 26, GAP = 3, RULER = 24, MAP = 30, HEAD = 20, PAD = 6;
  const NAMES = ["paper", "ink", "quiet", "line", "sunken", "match-line"];
  const lengths = new Map();  // of texts in pixels

  /** The colours of the style sheet that apply to an element. @param {HTMLElement} element */
  function palette(element, lanes) {
    const style = getComputedStyle(element);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    return {...Object.fromEntries(NAMES.map((name) => [name, colour(name)])), font: style.fontFamily,
            lanes: lanes.map((_, number) => {
              const name = hicm.colours.name(lanes, number);
              return {line: colour(`lane-${name}`), fill: colour(`fill-${name}`)};
            })};
  }

  /**
   * Make a canvas as large as it is shown, in the pixels of the screen.
   * @returns {CanvasRenderingContext2D} that draws in CSS pixels, cleared
   */
  function prepare(canvas, width, height) {
    const scale = globalThis.devicePixelRatio || 1;
    const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== across || canvas.height !== down) {
      canvas.width = across;
      canvas.height = down;
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    return pen;
  }

  /**
   * The positions of the groups of rows; with `heads`, lanes have room for their names on top.
   * @returns {{top: number, group: object}[] & {height: number}}
   */
  function places(groups, heads) {
    let top = 0;
    const found = groups.map((group, number) => {
      const starts = number === 0 || groups[number - 1].lane !== group.lane;
      if (starts) top += heads ? HEAD : number ? PAD : 0;
      const place = {top, group, starts};
      top += group.count * ROW;
      return place;
    });
    return Object.assign(found, {height: Math.max(top, ROW)});
  }

  /** Draw the ruler. */
  function ruler(canvas, viewport, colours) {
    const pen = prepare(canvas, viewport.width, RULER);
    const {step, marks} = hicm.time.ticks(viewport.start, viewport.end, Math.max(viewport.width / 84, 1));
    const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
    pen.font = `11px ${colours.font}`;
    pen.textBaseline = "middle";
    for (const mark of marks) {
      const x = Math.round(viewport.x(mark)) + 0.5;
      pen.strokeStyle = colours.line;
      line(pen, x, RULER - 6, RULER);
      pen.fillStyle = colours.quiet;
      const text = hicm.time.clock(mark, digits);
      const room = pen.measureText(text).width;
      pen.fillText(text, Math.min(Math.max(x - room / 2, 1), viewport.width - room - 1), RULER / 2 - 3);
    }
    return marks;
  }

  /** Draw the events that are in view. */
  function lanes(canvas, session, layout, colours, hover) {
    const {viewport} = session;
    const pen = prepare(canvas, viewport.width, layout.height);
    const {marks} = hicm.time.ticks(viewport.start, viewport.end, Math.max(viewport.width / 84, 1));
    pen.strokeStyle = colours.line;
    for (const mark of marks) line(pen, Math.round(viewport.x(mark)) + 0.5, 0, layout.height);
    pen.font = `12px ${colours.font}`;
    pen.textBaseline = "middle";
    let chosen = null;
    for (const {top, group} of layout) {
      const tint = colours.lanes[group.lane];
      for (const {event, row} of group.placed) {
        const [start, end] = [hicm.layout.low(event), hicm.layout.high(event)];
        if (end < viewport.start || start > viewport.end) continue;
        const box = boxOf(viewport, start, end, top + row * ROW);
        if (event.key === session.chosen) chosen = {box, tint, event};
        else bar(pen, box, tint, event, colours, event.key === hover, session.query);
      }
    }
    if (chosen) {
      bar(pen, chosen.box, chosen.tint, chosen.event, colours, true, session.query);
      outline(pen, chosen.box, colours);
    }
  }

  function boxOf(viewport, start, end, top) {
    const left = Math.max(viewport.x(start), -4), right = Math.min(viewport.x(end), viewport.width + 4);
    return {left, width: Math.max(right - left - 1, 3), top: top + GAP / 2, height: ROW - GAP};
  }

  function bar(pen, box, tint, event, colours, strong, query) {
    const match = query.trim() && hicm.search.matches(event.text, query).length > 0;
    pen.globalAlpha = query.trim() && !match ? 0.35 : 1;
    pen.fillStyle = tint.fill;
    pen.beginPath();
    pen.roundRect(box.left, box.top, box.width, box.height, Math.min(3, box.width / 2));
    pen.fill();
    pen.fillStyle = tint.line;
    pen.fillRect(box.left, box.top, Math.min(strong ? 4 : 3, Math.max(box.width / 4, 1)), box.height);
    if (match) {
      pen.fillStyle = colours["match-line"];
      pen.fillRect(box.left, box.top + box.height - 3, box.width, 3);
    }
    if (strong) {
      pen.strokeStyle = tint.line;
      pen.lineWidth = 1;
      pen.strokeRect(box.left + 0.5, box.top + 0.5, Math.max(box.width - 1, 1), box.height - 1);
    }
    const room = box.width - 12;
    if (room > 14) {
      pen.fillStyle = colours.ink;
      pen.fillText(fitting(pen, event.text, room - Math.max(-box.left, 0)), Math.max(box.left, 0) + 8,
                   box.top + box.height / 2 + 0.5);
    }
    pen.globalAlpha = 1;
  }

  function outline(pen, box, colours) {
    pen.strokeStyle = colours.ink;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.roundRect(box.left, box.top, box.width, box.height, 3);
    pen.stroke();
    pen.lineWidth = 1;
    if (box.width < 24) return;
    for (const x of [box.left, box.left + box.width]) {  // handles
      pen.fillStyle = colours.ink;
      pen.beginPath();
      pen.roundRect(x - 3, box.top + box.height / 2 - 7, 6, 14, 3);
      pen.fill();
      pen.fillStyle = colours.paper;
      pen.fillRect(x - 0.5, box.top + box.height / 2 - 3, 1, 6);
    }
  }

  /** A text shortened to `room` pixels. */
  function fitting(pen, text, room) {
    const short = text.trim().slice(0, 300);
    if (lengthOf(pen, short) <= room) return short;
    let left = room - lengthOf(pen, "…"), kept = "";
    for (const sign of short) {
      left -= lengthOf(pen, sign);
      if (left < 0) break;
      kept += sign;
    }
    return kept.trim() ? `${kept.trimEnd()}…` : "";
  }

  function lengthOf(pen, text) {
    let length = lengths.get(text);
    if (length === undefined) {
      if (lengths.size > 5000) lengths.clear();
      lengths.set(text, length = pen.measureText(text).width);
    }
    return length;
  }

  /** Draw all events as thin lines: the whole video at a glance. */
  function minimap(canvas, session, groups, rows, colours, width) {
    const pen = prepare(canvas, width, MAP);
    const height = Math.min(Math.max((MAP - 6) / Math.max(rows, 1), 1), 6);
    const top = (MAP - height * Math.min(rows, (MAP - 6) / height)) / 2;
    for (const group of groups) {
      pen.fillStyle = colours.lanes[group.lane].line;
      for (const {event, row} of group.placed) {
        const left = hicm.layout.low(event) / session.duration * width;
        const right = hicm.layout.high(event) / session.duration * width;
        const y = top + (group.first + row) * height % (MAP - 6);
        pen.fillRect(left, y, Math.max(right - left - 0.5, 1), Math.max(height - 1, 1));
      }
    }
  }

  function line(pen, x, from, to) {
    pen.beginPath();
    pen.moveTo(x, from);
    pen.lineTo(x, to);
    pen.stroke();
  }

  hicm.paint = {ROW, HEAD, palette, places, ruler, lanes, minimap};
}
