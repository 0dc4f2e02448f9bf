"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el, icon} = hicm.dom;
  const REST = 1500;  // milliseconds without typing, after which it is another step of undo

  /**
   * The chosen event: fields for its text and times, and actions on it.
   * @param {hicm.Session} session
   * @returns {HTMLElement}
   */
  function editor(session) {
    const text = el("textarea", {rows: 3, dir: "auto", spellcheck: true, "aria-label": "Text of the event"});
    const start = timeField(session, "start", "Start", "i"), end = timeField(session, "end", "End", "o");
    const facts = el("p", {class: "facts quiet"});
    const fault = el("p", {class: "fault", role: "alert"});
    const button = (label, keys, act) => el("button", {type: "button", text: label, title: `${label} (${keys})`,
                                                       on: {click: act}});
    const form = el("div", {class: "form"},
      text,
      el("div", {class: "times-row"}, start.element, end.element),
      fault, facts,
      el("div", {class: "acts"},
        button("Split at playhead", "s", () => session.splitChosen()),
        button("Merge with next", "j", () => session.mergeChosen()),
        button("Delete", "Delete", () => session.removeChosen())));
    const hint = el("p", {class: "quiet hint",
                          text: "Choose an event in the list or on the timeline to read, correct or move it."});
    const element = el("div", {class: "editor", role: "group", "aria-label": "Chosen event"}, hint, form);

    const update = () => {
      const found = session.found;
      hint.hidden = Boolean(found);
      form.hidden = !found;
      element.dataset.colour = found ? hicm.colours.name(session.lanes, found.lane) : "";
      if (!found) return;
      const {event} = found;
      if (text.value !== event.text) text.value = event.text;
      start.show(event.start);
      end.show(event.end);
      facts.textContent = [
        session.lanes.length > 1 ? session.lanes[found.lane].name : "",
        `${hicm.time.micro(event.end - event.start).toFixed(2)} s`,
        event.level === null ? "" : `level ${event.level}`,
        event.score === null ? "" : `score ${event.score.toFixed(2)}`,
        event.remark,
      ].filter(Boolean).join(" · ");
      fault.textContent = "";
    };
    const report = (message) => {
      fault.textContent = message;
    };
    start.report = end.report = report;
    let last = 0;
    text.addEventListener("input", () => {
      if (performance.now() - last > REST) session.history.pause();
      last = performance.now();
      session.apply(hicm.events.change(session.lanes, session.chosen, {text: text.value}), `text ${session.chosen}`);
    });
    text.addEventListener("blur", () => session.history.pause());
    session.on("choice events", update);
    session.on("edit", () => {
      if (!session.found) session.choose(session.under(session.lane).at(-1)?.key ?? null);
      if (!session.found) return;
      text.focus();
      text.select();
    });
    update();
    return element;
  }

  /** A field for a time, with frame steps by the arrow keys and a button for the time of the playhead. */
  function timeField(session, edge, label, keys) {
    const part = {report: () => {}};
    const unchanged = () => {
      const event = session.found?.event;
      return !event || hicm.time.exactClock(event[edge]) === field.value.trim();
    };
    const take = () => {
      return mark(unchanged() ? "" : session.setTimes({[edge]: hicm.time.parse(field.value)}));
    };
    const mark = (fault) => {
      field.setAttribute("aria-invalid", String(Boolean(fault)));
      part.report(fault);
      return fault;
    };
    session.on("settle", (faults) => {
      const fault = unchanged() ? "" : take();
      if (fault) faults.push(fault);
    });
    const step = (way) => {
      const event = session.found?.event;
      if (event) mark(session.setTimes({[edge]: hicm.time.nextFrame(event[edge], way, session.frameRate ?? 10)}));
    };
    const field = el("input", {type: "text", inputMode: "decimal", autocomplete: "off", spellcheck: false,
                               "aria-label": `${label} (minutes and seconds)`, on: {
      change: take,
      keydown: (event) => {
        if (event.key === "Enter") take();
        if (event.key === "ArrowUp" || event.key === "ArrowDown") {
          event.preventDefault();
          step(event.key === "ArrowUp" ? 1 : -1);
        }
      },
    }});
    const here = el("button", {type: "button", class: "here", title: `${label} at the playhead (${keys})`,
                               "aria-label": `${label} at the playhead`,
                               on: {click: () => session.setHere(edge)}}, icon("here"));
    part.element = el("div", {class: "time-field"}, el("small", {text: label, "aria-hidden": "true"}),
                      field, here);
    part.show = (seconds) => {
      field.value = hicm.time.exactClock(seconds);
      field.setAttribute("aria-invalid", "false");
    };
    return part;
  }

  hicm.parts.editor = editor;
}
