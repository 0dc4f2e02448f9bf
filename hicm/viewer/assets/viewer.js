"use strict";
globalThis.hicm ??= {};
{
  const {el, iconButton, eachFrame} = hicm.dom;

  /**
   * Show a viewer in an element.
   * @param {HTMLElement} element gets the class `viewer`
   * @param {object} view JSON of a view
   * @param {{number?: number, count?: number, heading?: string}} [options] the place of the view on its page, from 1;
   *   the tag of its heading
   * @returns {{element: HTMLElement, session: hicm.Session, screen: HTMLElement, seek: (seconds: number) => void}}
   */
  function view(element, view, options = {}) {
    const session = new hicm.Session(view);
    const keeper = new hicm.Keeper(view, session.history);
    const saver = session.saves ? new hicm.Saver(session, keeper, hicm.requests) : null;
    const {parts} = hicm;
    const place = {number: options.number ?? 1, count: options.count ?? 1};
    const notices = parts.notices(session, keeper, saver);  // first, because it restores edits
    const screen = el("div", {class: "screen"});
    screen.append(parts.stage(session), parts.transport(session, screen), parts.captions(session));

    const title = el(options.heading ?? "h1", {class: "title", text: view.title || view.id});
    const facts = el("span", {class: "quiet", text: about(session)});
    session.on("events", eachFrame(() => {
      facts.textContent = about(session);
    }));
    const head = el("header", {class: "head"}, title, facts,
      el("span", {class: "space"}), notices.notice,
      iconButton("link", "Copy a link to this time", "", () => parts.copyLink(session, place)),
      el("button", {type: "button", class: "keys", text: "Keys", title: "Keys (?)",
                    on: {click: () => session.emit("help")}}),
      parts.exporting(session), ...saver ? parts.saving(session, saver) : []);
    const memory = parts.memory(session);
    element.classList.add("viewer");
    element.classList.toggle("with-memory", !memory.hidden);
    element.tabIndex = -1;
    element.setAttribute("role", "region");
    element.setAttribute("aria-label", title.textContent);
    element.replaceChildren(head, notices.status,
      el("div", {class: "parts"}, screen, parts.timeline(session), parts.list(session), parts.editor(session), memory),
      parts.help(session));
    const viewer = {element, session, screen, seek: (seconds) => session.seek(seconds)};
    parts.listen(viewer);
    return viewer;
  }

  function about({view, duration, lanes}) {
    const count = lanes.reduce((sum, lane) => sum + lane.events.length, 0);
    const size = view.picture?.size ? `${view.picture.size[0]} × ${view.picture.size[1]}` : "";
    const rate = view.picture?.frame_rate ? `${Number(view.picture.frame_rate.toFixed(2))} fps` : "";
    const events = `${count} event${count === 1 ? "" : "s"}`;
    return [hicm.time.clock(duration), events, size, rate].filter(Boolean).join(" · ");
  }

  hicm.view = view;
}
