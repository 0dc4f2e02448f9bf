"use strict";
globalThis.hicm ??= {};
{
  const SLACK = 4;  // pixels that the pointer may move in a click
  const SNAP = 6;  // pixels within which a boundary snaps to another
  let drags = 0;

  /** The event under a point of the canvas, and which part of it. */
  function hit(session, shown, x, y, reach) {
    const {viewport} = session;
    const {ROW} = hicm.paint;
    let found = null;
    for (const {top, group} of shown.layout) {
      if (y < top || y >= top + group.count * ROW) continue;
      for (const {event, row} of group.placed) {
        if (y < top + row * ROW || y >= top + (row + 1) * ROW) continue;
        const left = viewport.x(hicm.layout.low(event)), right = viewport.x(hicm.layout.high(event));
        if (event.key === session.chosen && event.end >= event.start) {
          if (Math.abs(x - right) <= reach && x > left) return {event, lane: group.lane, edge: "end"};
          if (Math.abs(x - left) <= reach) return {event, lane: group.lane, edge: "start"};
        }
        if (x >= left - 1 && x <= Math.max(right, left + 3) + 1) found = {event, lane: group.lane, edge: ""};
      }
      return found ?? {event: null, lane: group.lane, edge: ""};
    }
    return null;
  }

  /** A time snapped to other boundaries and the playhead, otherwise to the nearest frame. */
  function snapped(session, key, time, free) {
    const {viewport, player, duration, frameRate} = session;
    const reach = SNAP / viewport.width * (viewport.end - viewport.start);
    const edges = [0, duration, player.time, ...session.lanes.flatMap((lane) => lane.events)
      .filter((event) => event.key !== key).flatMap((event) => [event.start, event.end])];
    const nearest = edges.reduce((best, edge) => Math.abs(edge - time) < Math.abs(best - time) ? edge : best, Infinity);
    return !free && Math.abs(nearest - time) <= reach ? nearest : hicm.time.toFrame(time, frameRate);
  }

  /** Clicks and drags on lanes and ruler. */
  function onTracks(session, {canvas, scale, tip, board, shown}) {
    const {viewport} = session;
    const touches = new Map();
    let act = null;
    const point = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const reach = (event) => event.pointerType === "touch" ? 16 : 6;

    scale.addEventListener("pointerdown", (event) => {
      scale.setPointerCapture(event.pointerId);
      session.seek(viewport.time(point(event)[0]));
    });
    scale.addEventListener("pointermove", (event) => {
      if (scale.hasPointerCapture(event.pointerId)) session.seek(viewport.time(point(event)[0]));
    });

    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      touches.set(event.pointerId, event.clientX);
      tip.hidden = true;
      if (touches.size === 2) {
        if (act?.moved && act.target) session.undo();
        act = pinch(session, touches, canvas);
      } else if (touches.size === 1) {
        const [x, y] = point(event);
        act = drag(session, hit(session, shown, x, y, reach(event)), x);
      }
    });
    canvas.addEventListener("pointermove", (event) => {
      const [x, y] = point(event);
      if (touches.has(event.pointerId)) {
        touches.set(event.pointerId, event.clientX);
        act?.move(x, event.altKey);
      } else if (event.pointerType !== "touch") hover(session, {canvas, tip, board, shown}, x, y);
    });
    const end = (event) => {
      if (!touches.delete(event.pointerId)) return;
      if (event.type === "pointerup" && !touches.size) act?.up?.(point(event)[0]);
      if (!touches.size) act = null;
      session.history.pause();
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerleave", () => {
      tip.hidden = true;
      session.emit("hover", null);
    });
    canvas.addEventListener("dblclick", (event) => {
      if (hit(session, shown, ...point(event), 0)?.event) session.emit("edit");
    });
  }

  /** Drag an edge or the body of the chosen event, or the view; without movement it is a click. */
  function drag(session, target, from) {
    const {viewport} = session;
    const name = `drag ${++drags}`;
    const event = target?.event;
    const length = event ? event.end - event.start : 0;
    const movable = event && event.key === session.chosen && length > 0;
    const seconds = (x) => (x - from) / viewport.width * (viewport.end - viewport.start);
    let last = from;
    const act = {
      moved: false, target: movable ? event : null,
      move(x, free) {
        if (!act.moved && Math.abs(x - from) < SLACK) return;
        act.moved = true;
        if (target?.edge) resize(session, event, target.edge, event[target.edge] + seconds(x), free, name);
        else if (movable) {
          const start = snapped(session, event.key, event.start + seconds(x), free);
          const within = Math.min(Math.max(start, 0), Math.max(session.duration - length, 0));
          session.apply(hicm.events.change(session.lanes, event.key,
            {start: within, end: hicm.time.micro(within + length)}), name);
        } else {
          session.viewport.scroll(-(x - last) / viewport.width * (viewport.end - viewport.start));
          session.emit("view");
        }
        last = x;
      },
      up(x) {
        if (act.moved) return;
        if (event) session.choose(event.key, {seek: !target.edge});
        else {
          session.choose(null);
          if (target) session.setLane(target.lane);
          session.seek(viewport.time(x));
        }
      },
    };
    return act;
  }

  /** Move one boundary, limited by the other one and the ends of the video. */
  function resize(session, event, edge, time, free, name) {
    const least = session.frameRate ? 1 / session.frameRate : 0.05;
    const wanted = snapped(session, event.key, time, free);
    const other = edge === "start" ? event.end : event.start;
    const value = edge === "start" ? Math.max(Math.min(wanted, hicm.time.micro(other - least)), 0)
      : Math.min(Math.max(wanted, hicm.time.micro(other + least)), session.duration);
    session.apply(hicm.events.change(session.lanes, event.key, {[edge]: value}), name);
  }

  /** Zoom with two fingers. */
  function pinch(session, touches, canvas) {
    const {viewport} = session;
    const spread = () => {
      const [one, other] = [...touches.values()];
      const {left} = canvas.getBoundingClientRect();
      return {apart: Math.max(Math.abs(one - other), 10), middle: (one + other) / 2 - left};
    };
    let before = spread();
    return {
      moved: true, target: null,
      move() {
        if (touches.size !== 2) return;
        const now = spread();
        viewport.zoom(before.apart / now.apart, viewport.time(now.middle));
        viewport.scroll((before.middle - now.middle) / viewport.width * (viewport.end - viewport.start));
        before = now;
        session.emit("view");
      },
    };
  }

  function hover(session, {canvas, tip, board, shown}, x, y) {
    const found = hit(session, shown, x, y, 6);
    canvas.style.cursor = found?.edge ? "ew-resize" : found?.event ? "pointer" : "default";
    if ((found?.event?.key ?? null) !== shown.hover) session.emit("hover", found?.event?.key ?? null);
    tip.hidden = !found?.event;
    if (tip.hidden) return;
    const {start, end, text, remark} = found.event;
    tip.textContent = `${hicm.time.clock(start, 1)} – ${hicm.time.clock(end, 1)}  ${text || "(no text)"}` +
      (remark ? ` (${remark})` : "");
    const box = canvas.getBoundingClientRect(), frame = board.getBoundingClientRect();
    const left = Math.min(Math.max(box.left - frame.left + x - tip.offsetWidth / 2, 0), frame.width - tip.offsetWidth);
    const top = box.top - frame.top + y;
    tip.style.transform = `translate(${left}px, ${Math.max(top - tip.offsetHeight - 14, 0)}px)`;
  }

  /** Drags on the map of the whole video. */
  function onMap(session, map) {
    const {viewport} = session;
    let grip = null;  // where the window is held, in seconds from its start
    const time = (event) => {
      const box = map.getBoundingClientRect();
      return (event.clientX - box.left) / box.width * session.duration;
    };
    const move = (event) => {
      const length = viewport.end - viewport.start;
      if (viewport.whole) return session.seek(time(event));
      viewport.show(time(event) - grip, length);
      return session.emit("view");
    };
    map.addEventListener("pointerdown", (event) => {
      map.setPointerCapture(event.pointerId);
      const at = time(event);
      grip = at >= viewport.start && at <= viewport.end ? at - viewport.start : (viewport.end - viewport.start) / 2;
      move(event);
    });
    map.addEventListener("pointermove", (event) => {
      if (map.hasPointerCapture(event.pointerId)) move(event);
    });
  }

  /** The wheel zooms with Ctrl, Cmd or Alt and scrolls with Shift or sideways; otherwise it scrolls the page. */
  function onWheel(session, board, tracks) {
    const {viewport} = session;
    board.addEventListener("wheel", (event) => {
      const lines = event.deltaMode === 1 ? 16 : 1;
      const sideways = event.shiftKey && !event.deltaX ? event.deltaY : event.deltaX;
      if (event.ctrlKey || event.metaKey || event.altKey) {
        const x = event.clientX - tracks.getBoundingClientRect().left;
        const strength = event.ctrlKey && Math.abs(event.deltaY) < 50 ? 0.01 : 0.002;  // a pinch comes in small steps
        viewport.zoom(Math.exp(event.deltaY * lines * strength), viewport.time(Math.max(x, 0)));
      } else if (!viewport.whole && (event.shiftKey || Math.abs(sideways) > Math.abs(event.deltaY))) {
        viewport.scroll(sideways * lines / viewport.width * (viewport.end - viewport.start));
      } else return;
      event.preventDefault();
      session.emit("view");
    }, {passive: false});
  }

  hicm.gestures = {onTracks, onMap, onWheel, snapped};
}
