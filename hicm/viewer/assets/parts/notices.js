"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el} = hicm.dom;

  /**
   * The state of the edits, and the status line.  Restores and keeps the edits of the session.
   * @param {hicm.Session} session
   * @param {hicm.Keeper} keeper
   * @returns {{notice: HTMLElement, status: HTMLElement}}
   */
  function notices(session, keeper) {
    const {history} = session;
    const text = el("span", {role: "status"});
    const discard = el("button", {type: "button", text: "Discard edits", on: {click: () => {
      session.apply(history.first);
      keeper.exported = "";
      keeper.now();
      restored = null;
      update();
      session.say("The edits were discarded; Ctrl Z brings them back.");
    }}});
    const load = el("button", {type: "button", text: "Load them", hidden: true, on: {click: () => {
      if (keeper.load()) session.edited();
      update();
    }}});
    const bar = el("div", {class: "notice"}, text, load, discard);
    const status = el("div", {class: "status", role: "status"});
    let restored = keeper.restore();
    let timer = null;

    const update = () => {
      bar.hidden = !history.changed && !keeper.elsewhere;
      bar.classList.toggle("warn", !keeper.works || Boolean(keeper.elsewhere));
      load.hidden = !keeper.elsewhere;
      discard.hidden = !history.changed;
      text.textContent = keeper.elsewhere ? "These events were also edited in another tab."
        : !keeper.works ? "Edited. This browser does not keep edits here: export them before you leave the page."
        : restored ? `${keeper.exported ? "Edits" : "Unsaved edits"} of ${when(restored.saved)} restored` +
          (keeper.exported ? `, exported as ${keeper.exported}` : "")
        : keeper.exported ? `Edited, exported as ${keeper.exported}` : "Edited, kept in this browser";
    };
    session.on("events", () => {
      keeper.exported = "";
      restored = null;
      keeper.soon();
      update();
    });
    session.on("exported", (name) => {
      keeper.exported = name;
      keeper.now();
      update();
    });
    session.on("message", (message) => {
      status.textContent = message;
      status.classList.add("shown");
      clearTimeout(timer);
      timer = setTimeout(() => status.classList.remove("shown"), 5000);
    });
    keeper.on("kept", update);
    addEventListener("storage", (event) => {
      if (event.key !== keeper.key) return;
      keeper.receive(event.newValue);
      update();
    });
    addEventListener("pagehide", () => keeper.timer !== null && keeper.now());
    document.addEventListener("visibilitychange", () => document.hidden && keeper.timer !== null && keeper.now());
    addEventListener("beforeunload", (event) => keeper.atRisk && event.preventDefault());
    update();
    return {notice: bar, status};
  }

  function when(iso) {
    const time = new Date(iso);
    return Number.isNaN(time.getTime()) ? "an earlier visit"
      : time.toLocaleString(undefined, {dateStyle: "medium", timeStyle: "short"});
  }

  hicm.parts.notices = notices;
}
