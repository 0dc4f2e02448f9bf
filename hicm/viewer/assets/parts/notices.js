"use strict";
globalThis.hicm ??= {};
hicm.parts ??= {};
{
  const {el} = hicm.dom;

  /**
   * The state of the edits, and the status line.  Restores and keeps the edits of the session.
   * @param {hicm.Session} session
   * @param {hicm.Keeper} keeper
   * @param {hicm.Saver | null} [saver] null: the page cannot save
   * @returns {{notice: HTMLElement, status: HTMLElement}}
   */
  function notices(session, keeper, saver = null) {
    const {history} = session;
    const text = el("span", {role: "status"});
    const button = (label, click) => el("button", {type: "button", text: label, hidden: true, on: {click}});
    const discard = button("Discard edits", () => {
      session.apply(history.first);
      keeper.exported = "";
      keeper.now();
      restored = null;
      update();
      session.say("The edits were discarded; Ctrl Z brings them back.");
    });
    const load = button("Load them", () => {
      if (keeper.load()) session.edited();
      update();
    });
    const theirs = button("Load theirs", () => saver.load());
    const overwrite = button("Overwrite theirs", () => saver.overwrite());
    const bar = el("div", {class: "notice"}, text, theirs, overwrite, load, discard);  // never hidden: it is announced
    const status = el("div", {class: "status", role: "status"});
    let restored = keeper.restore();
    let timer = null;

    const update = () => {
      const {changed} = history, focused = bar.contains(document.activeElement) && document.activeElement;
      const overtaken = Boolean(saver?.overtaken) && !saver.busy;
      theirs.hidden = !overtaken;
      overwrite.hidden = !overtaken || !changed;
      load.hidden = !keeper.elsewhere;
      discard.hidden = !changed || overtaken || Boolean(saver?.busy);
      const words = (saver && hicm.parts.stateOf(session, saver)) || wordsOf(session, keeper, restored);
      if (text.textContent !== words) text.textContent = words;
      bar.classList.toggle("warn", Boolean(words) &&
        (!keeper.works || Boolean(keeper.elsewhere) || overtaken || saver?.state === "failed"));
      if (focused && focused.hidden) bar.closest(".viewer")?.focus({preventScroll: true});
    };
    saver?.on("state", () => {
      if (saver.state === "saved") restored = null;
      update();
      if (text.textContent && !saver.busy && outOfView(bar)) session.say(text.textContent);
    });
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

  /** How the edits are kept in the browser; "" where there are none. */
  function wordsOf({history, saves}, {elsewhere, works, exported}, restored) {
    if (elsewhere) return "These events were also edited in another tab.";
    if (!history.changed) return "";
    const edited = saves ? "Not saved" : "Edited";
    if (!works) {
      return `${edited}. This browser does not keep edits here: ${saves ? "save" : "export"} them before you leave ` +
        "the page.";
    }
    if (restored) {
      return `${exported ? "Edits" : "Unsaved edits"} of ${when(restored.saved)} restored` +
        (exported ? `, exported as ${exported}` : "");
    }
    return exported ? `${edited}, exported as ${exported}` : `${edited}, kept in this browser`;
  }

  function outOfView(element) {
    const {top, bottom} = element.getBoundingClientRect();
    return bottom <= 0 || top >= innerHeight;
  }

  function when(iso) {
    const time = new Date(iso);
    return Number.isNaN(time.getTime()) ? "an earlier visit"
      : time.toLocaleString(undefined, {dateStyle: "medium", timeStyle: "short"});
  }

  hicm.parts.notices = notices;
}
