"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el, iconButton, eachFrame} = hicm.dom;

  /**
   * A searchable list of all events, which also makes the timeline accessible.
   * @param {hicm.Session} session
   * @returns {HTMLElement}
   */
  function list(session) {
    const rows = new Map();  // key of an event -> its row
    const items = el("ol", {class: "events", "aria-label": "Events"});
    const empty = el("p", {class: "quiet empty-list"});
    const find = finder(session);

    const fill = () => {
      const events = session.lanes.flatMap((lane, number) => lane.events.map((event) => ({event, lane: number})))
        .sort((one, other) => one.event.start - other.event.start || other.event.end - one.event.end);
      const kept = new Map(events.map(({event, lane}) => [event.key, lane]));
      const inside = items.contains(document.activeElement);
      for (const [key, row] of rows) {
        if (kept.get(key) !== row.lane) {
          row.element.remove();
          rows.delete(key);
        }
      }
      let place = items.firstElementChild;
      for (const {event, lane} of events) {
        const row = rows.get(event.key) ?? makeRow(session, lane);
        rows.set(event.key, row);
        writeRow(row, event, session.query);
        if (row.element === place) place = place.nextElementSibling;
        else items.insertBefore(row.element, place);
      }
      showMatches();
      showChoice();
      if (inside && !items.contains(document.activeElement)) items.querySelector("[tabindex='0']")?.focus();
    };
    const showMatches = () => {
      let count = 0;
      for (const row of rows.values()) {
        const fits = !session.query.trim() || hicm.search.matches(row.event.text, session.query).length > 0;
        row.element.hidden = !fits;
        count += fits ? 1 : 0;
      }
      empty.hidden = count > 0;
      empty.textContent = rows.size ? "No event matches." : "There are no events yet.";
      find.show(count);
    };
    const showChoice = () => {
      const reached = rows.get(session.chosen)?.element ?? items.querySelector("li:not([hidden])");
      for (const [key, row] of rows) markRow(row, key === session.chosen, row.element === reached);
    };
    const showTime = () => {
      for (const row of rows.values()) {
        const here = hicm.layout.contains(row.event, session.player.time);
        if (here !== row.here) {
          row.here = here;
          row.element.classList.toggle("here", here);
        }
      }
    };
    session.on("events", eachFrame(() => {
      fill();
      showTime();
    }));
    session.on("query", () => {
      for (const row of rows.values()) writeRow(row, row.event, session.query);
      showMatches();
      showChoice();
    });
    session.on("choice", () => {
      showChoice();
      intoView(items, rows.get(session.chosen)?.element);
      find.show(null);
    });
    session.on("time", eachFrame(showTime));
    items.addEventListener("keydown", (event) => walk(event, items));
    fill();
    showTime();
    return el("div", {class: "list", role: "group", "aria-label": "Events"}, find.element, items, empty);
  }

  function makeRow(session, lane) {
    const times = el("span", {class: "times"}), text = el("span", {class: "text", dir: "auto"});
    const remark = el("span", {class: "remark", hidden: true});
    const row = {event: null, lane, times, text, remark, here: false, query: null, chosen: null, reached: null};
    row.button = el("button", {type: "button", dataset: {colour: hicm.colours.name(session.lanes, lane)},
                               on: {click: () => session.choose(row.event.key, {seek: true})}},
                    session.lanes.length > 1 ? el("span", {class: "unseen", text: `${session.lanes[lane].name}, `})
                      : null,
                    times, text, remark);
    row.element = el("li", {}, row.button);
    return row;
  }

  /** Mark the chosen row and the one that Tab reaches.  Others are not touched: setting `tabIndex` is slow. */
  function markRow(row, chosen, reached) {
    if (row.chosen !== chosen) row.button.setAttribute("aria-pressed", String(chosen));
    if (row.reached !== reached) row.button.tabIndex = reached ? 0 : -1;
    Object.assign(row, {chosen, reached});
  }

  function writeRow(row, event, query) {
    if (row.event === event && row.query === query) return;
    row.event = event;
    row.query = query;
    row.times.textContent = `${hicm.time.clock(event.start, 1)} – ${hicm.time.clock(event.end, 1)}`;
    row.text.classList.toggle("quiet", !event.text.trim());
    row.text.replaceChildren(...event.text.trim() ? hicm.search.pieces(event.text, query).map(({text, match}) =>
      match ? el("mark", {text}) : document.createTextNode(text)) : ["(no text)"]);
    row.remark.textContent = event.remark;
    row.remark.hidden = !event.remark;
  }

  /** The search field, with the number of matches and buttons for the next and the previous one. */
  function finder(session) {
    const count = el("span", {class: "count quiet", role: "status"});
    const previous = iconButton("up", "Previous match", "Shift Enter", () => session.nextMatch(-1));
    const next = iconButton("down", "Next match", "Enter", () => session.nextMatch(1));
    const field = el("input", {
      type: "search", placeholder: "Search", "aria-label": "Search in the text of events", autocomplete: "off",
      on: {
        input: () => session.search(field.value),
        keydown: (event) => {
          if (event.key === "Enter") session.nextMatch(event.shiftKey ? -1 : 1);
          if (event.key === "Escape" && !field.value) field.blur();
        },
      },
    });
    session.on("find", () => {
      field.focus();
      field.select();
    });
    let total = 0;
    const show = (found) => {
      total = found ?? total;
      const searching = session.query.trim() !== "";
      previous.hidden = next.hidden = !searching;
      previous.disabled = next.disabled = !total;
      const place = searching ? session.matching().findIndex((event) => event.key === session.chosen) + 1 : 0;
      const text = !searching ? `${total} event${total === 1 ? "" : "s"}`
        : place ? `${place} of ${total}` : `${total} found`;
      if (count.textContent !== text) count.textContent = text;
    };
    return {element: el("div", {class: "find"}, field, count, previous, next), show};
  }

  function intoView(items, element) {
    if (!element) return;
    const box = element.getBoundingClientRect(), frame = items.getBoundingClientRect();
    if (box.top < frame.top) items.scrollTop -= frame.top - box.top + 8;
    else if (box.bottom > frame.bottom) items.scrollTop += box.bottom - frame.bottom + 8;
  }

  /** Move the focus by the arrow keys, Home and End: the list is one Tab stop. */
  function walk(event, items) {
    const shown = [...items.querySelectorAll("li:not([hidden]) > button")];
    const here = shown.indexOf(document.activeElement);
    const target = {ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: shown.length - 1}[event.key];
    if (target === undefined || !shown[target]) return;
    event.preventDefault();
    event.stopPropagation();
    shown[target].focus();
  }

  hicm.parts.list = list;
}
