"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el, iconButton} = hicm.dom;

  /**
   * The current events of one lane, as the formats take them.
   * @param {hicm.Session} session
   * @param {number} lane
   * @returns {object} see `hicm.exports`
   */
  function captioned(session, lane) {
    const {view, duration, lanes} = session;
    return {id: view.id, source: view.source ?? "", duration, picture: view.picture,
            events: lanes[lane]?.events ?? [], about: aboutOf(view.made_by), uri: fileOf(view.video),
            speech: lanes.find(({kind}, number) => kind === "speech" && number !== lane)?.events ?? [],
            recalled: lanes[lane]?.recalled ?? []};
  }

  /** How the events were made, as JSON; pages hold it as text, so that its numbers stay unchanged. */
  function aboutOf(madeBy) {
    return typeof madeBy === "string" ? madeBy : JSON.stringify(madeBy ?? {}, null, 1);
  }

  /** The URL of the video on this computer; undefined if the page came from a server or has no video. */
  function fileOf(video) {
    if (!video) return undefined;
    try {
      const url = new URL(video, globalThis.document?.baseURI);
      return url.protocol === "file:" ? url.href : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * The button and the dialog to export.
   * @param {hicm.Session} session
   * @returns {HTMLElement}
   */
  function exporting(session) {
    const lane = el("select", {"aria-label": "Lane to export", on: {change: () => refused.replaceChildren()}});
    const refused = el("p", {class: "fault", role: "alert"});
    const attempt = (name, act) => {
      refused.textContent = "";
      try {
        const what = captioned(session, Number(lane.value));
        act(hicm.text.utf8(hicm.exports[name].render(what)), what);
      } catch (error) {
        if (!(error instanceof hicm.Refused)) throw error;
        refused.textContent = `Not written as ${hicm.exports[name].title}: ${error.message}.`;
      }
    };
    const download = (name) => attempt(name, (text, what) => {
      save(text, `${what.id}${hicm.exports[name].suffix}`);
      dialog.close();
      session.emit("exported", hicm.exports[name].title);
      session.say(`${what.id}${hicm.exports[name].suffix} was written.`);
    });
    const copy = (name) => attempt(name, async (text) => {
      const copied = await hicm.parts.copy(text);
      session.say(copied ? `${hicm.exports[name].title} copied.` : "This browser does not let pages copy.");
    });
    const dialog = el("dialog", {class: "export", "aria-label": "Export"},
      el("header", {}, el("h2", {text: "Export"}), lane, el("span", {class: "space"}),
        el("button", {type: "button", text: "Close", on: {click: () => dialog.close()}})),
      refused,
      el("div", {class: "formats"}, ...groups().map(([title, names]) => el("div", {}, el("h3", {text: title}),
        el("ul", {}, ...names.map((name) => line(name, download, copy)))))),
      el("p", {class: "quiet elsewhere"}, "For OpenTimelineIO, export as hicm and run ",
        el("code", {text: "hicm export FILE.json --format otio"}), "."));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    const open = () => {
      lane.replaceChildren(...session.lanes.map((one, number) =>
        el("option", {value: number, text: one.name, selected: number === session.lane})));
      lane.hidden = session.lanes.length < 2;
      refused.textContent = "";
      dialog.showModal();
    };
    const button = el("button", {type: "button", class: session.saves ? "" : "primary", text: "Export",
                                 on: {click: open}});
    return el("div", {class: "exporting"}, button, dialog);
  }

  /** The names of formats by heading of the menu. */
  function groups() {
    const found = new Map();
    for (const [name, format] of Object.entries(hicm.exports)) {
      found.set(format.group, [...found.get(format.group) ?? [], name]);
    }
    return [...found];
  }

  function line(name, download, copy) {
    const {title, suffix, about} = hicm.exports[name];
    return el("li", {},
      el("button", {type: "button", class: "format", dataset: {format: name}, on: {click: () => download(name)}},
        el("span", {}, el("b", {text: title}), el("small", {text: ` ${suffix}`})), el("small", {text: about})),
      iconButton("copy", `Copy ${title}`, "", () => copy(name)));
  }

  function save(text, name) {
    const address = URL.createObjectURL(new Blob([text], {type: "text/plain;charset=utf-8"}));
    const link = el("a", {href: address, download: name, hidden: true});
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  hicm.parts.exporting = exporting;
  hicm.parts.captioned = captioned;
}
